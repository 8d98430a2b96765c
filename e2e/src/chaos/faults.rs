//! What breaks, and when: a seed decides it.

use super::actors::look_at_metrics;
use super::{Course, PARTITIONS, TOPIC};
use crate::clients::curl;
use crate::gateway::Gateway;
use crate::pulsar::Pulsar;
use crate::random::Random;
use anyhow::{Context, Result};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Something that breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    /// A gateway is ended by `SIGKILL` and comes back after a while.
    Kill,
    /// A gateway is ended by `SIGTERM` and comes back after a while.
    Stop,
    /// The broker gives up one partition, and opens it again when it is asked for.
    Unload,
    /// One of the topic in which groups commit.
    UnloadOffsets,
    /// The topic of the gateways' announcements.
    UnloadMembership,
    /// All topics of the namespace.
    UnloadNamespace,
    /// Pulsar is ended by `SIGKILL`, broker, bookie and metadata, and started again.
    Broker,
}

const ALL: [Break; 7] = [
    Break::Kill,
    Break::Stop,
    Break::Unload,
    Break::UnloadOffsets,
    Break::UnloadMembership,
    Break::UnloadNamespace,
    Break::Broker,
];
/// How often each breaks, after all have once.
const WEIGHTS: [u64; 7] = [6, 4, 8, 3, 1, 2, 1];
/// Between two restarts of the broker.
const BROKER_LASTS: Duration = Duration::from_secs(40);

/// What can break.
#[derive(Debug)]
pub struct Faults<'a> {
    course: &'a Course,
    gateways: Vec<Gateway>,
    /// When those come back that are down.
    down: Vec<Option<Instant>>,
    pulsar: Pulsar,
    broker_began: Instant,
    /// What is to break first.
    first: VecDeque<Break>,
    random: Random,
    began: Instant,
}

impl<'a> Faults<'a> {
    /// Nothing is broken yet.
    #[must_use]
    pub fn new(
        course: &'a Course,
        gateways: Vec<Gateway>,
        pulsar: Pulsar,
        mut random: Random,
    ) -> Self {
        let mut first = ALL;
        for last in (1..first.len()).rev() {
            first.swap(last, random.below(last as u64 + 1) as usize);
        }
        Self {
            course,
            down: gateways.iter().map(|_| None).collect(),
            gateways,
            pulsar,
            broker_began: Instant::now(),
            first: first.into(),
            random,
            began: Instant::now(),
        }
    }

    /// Breaks one thing after another, and some at a time, until the time is over or somebody fails;
    /// whatever is down then is started again.
    ///
    /// # Errors
    /// Something does not end or start as it should, or somebody does not get on.
    pub fn run(&mut self, lasts: Duration) -> Result<()> {
        self.began = Instant::now();
        while self.began.elapsed() < lasts && !self.course.is_over() {
            let pause = Duration::from_millis(100 + self.random.below(6_000));
            self.quiet(pause)?;
            let next = self.first.pop_front().unwrap_or_else(|| self.any());
            self.do_break(next)
                .with_context(|| format!("while breaking by {next:?}"))?;
        }
        self.all_back()
    }

    /// Starts all that is down.
    ///
    /// # Errors
    /// It does not start.
    pub fn all_back(&mut self) -> Result<()> {
        for node in 0..self.gateways.len() {
            if self.down.get(node).is_some_and(Option::is_some) {
                self.back(node)?;
            }
        }
        self.look_at_gateways()
    }

    /// Nothing breaks for a while; gateways come back.
    fn quiet(&mut self, pause: Duration) -> Result<()> {
        let end = Instant::now() + pause;
        while !self.course.is_over() {
            self.course.check_progress()?;
            self.look_at_gateways()?;
            let now = Instant::now();
            let due = |node: &usize| {
                self.down
                    .get(*node)
                    .is_some_and(|at| at.is_some_and(|at| at <= now))
            };
            if let Some(node) = (0..self.gateways.len()).find(due) {
                self.back(node)?;
            }
            let now = Instant::now();
            if now >= end {
                break;
            }
            self.course
                .wait((end - now).min(Duration::from_millis(500)));
        }
        Ok(())
    }

    fn any(&mut self) -> Break {
        let mut left = self.random.below(WEIGHTS.iter().sum());
        for (one, weight) in ALL.into_iter().zip(WEIGHTS) {
            if left < weight {
                return one;
            }
            left -= weight;
        }
        Break::Kill
    }

    fn say(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    fn do_break(&mut self, what: Break) -> Result<()> {
        match what {
            Break::Kill | Break::Stop => return self.end_gateway(what),
            Break::Broker => return self.restart_broker(),
            Break::Unload => {
                let partition = self.random.below(PARTITIONS as u64);
                self.unload(&format!(
                    "persistent/public/default/{TOPIC}-partition-{partition}"
                ));
            }
            Break::UnloadOffsets => {
                let partition = self.random.below(50);
                let topic =
                    format!("persistent/public/__kafka/__consumer_offsets-partition-{partition}");
                self.unload(&topic);
            }
            Break::UnloadMembership => self.unload("persistent/public/__kafka/__kop_gateways"),
            Break::UnloadNamespace => self.unload("namespaces/public/default"),
        }
        self.course.count(&format!("broken by {what:?}"));
        Ok(())
    }

    /// The broker may refuse while it is busy; it is asked again another time.
    fn unload(&self, what: &str) {
        let url = format!("{}/admin/v2/{what}/unload", self.pulsar.admin_url());
        let done = curl(&["-X", "PUT", &url]);
        self.say(&format!(
            "unload {what}: {}",
            if matches!(done, Ok(Some(_))) {
                "done"
            } else {
                "refused"
            }
        ));
        if !matches!(done, Ok(Some(_))) {
            self.course.count("unloads refused");
        }
    }

    /// Ends one of those that are up, if another one stays.
    fn end_gateway(&mut self, how: Break) -> Result<()> {
        let up: Vec<usize> = (0..self.gateways.len())
            .filter(|node| self.down.get(*node) == Some(&None))
            .collect();
        if up.len() < 2 {
            return Ok(());
        }
        let which = self.random.below(up.len() as u64) as usize;
        let node = *up.get(which).context("one that is up")?;
        let away = Duration::from_millis(self.random.below(10_000));
        let gateway = self.gateways.get_mut(node).context("a gateway")?;
        look_at_metrics(gateway.admin())?;
        let asked = Instant::now();
        if how == Break::Kill {
            gateway.kill()?;
        } else {
            gateway.stop()?;
            self.course.took("end by SIGTERM", asked.elapsed());
        }
        self.say(&format!("{how:?} gateway {} for {away:?}", node + 1));
        self.course.count(&format!("broken by {how:?}"));
        if let Some(down) = self.down.get_mut(node) {
            *down = Some(Instant::now() + away);
        }
        Ok(())
    }

    fn back(&mut self, node: usize) -> Result<()> {
        let gateway = self.gateways.get_mut(node).context("a gateway")?;
        let began = Instant::now();
        gateway.begin_again()?;
        gateway.ready()?;
        self.course.took("start of a gateway", began.elapsed());
        self.say(&format!("gateway {} is back", node + 1));
        if let Some(down) = self.down.get_mut(node) {
            *down = None;
        }
        Ok(())
    }

    fn restart_broker(&mut self) -> Result<()> {
        if self.broker_began.elapsed() < BROKER_LASTS {
            self.first.push_back(Break::Broker);
            return self.do_break(Break::Unload);
        }
        let began = Instant::now();
        self.say("kill the broker");
        self.pulsar.kill()?;
        self.pulsar.start_again()?;
        self.broker_began = Instant::now();
        self.say("the broker is back");
        self.course.took("restart of the broker", began.elapsed());
        self.course.count("broken by Broker");
        Ok(())
    }

    /// None has met an offset that it did not expect.
    fn look_at_gateways(&self) -> Result<()> {
        for (gateway, down) in self.gateways.iter().zip(&self.down) {
            if down.is_none() {
                look_at_metrics(gateway.admin())?;
            }
        }
        Ok(())
    }

    /// How many ledgers the topic's partitions have by now.
    ///
    /// # Errors
    /// Pulsar does not say.
    pub fn ledgers(&self) -> Result<usize> {
        let mut ledgers = 0;
        for partition in 0..PARTITIONS {
            let url = format!(
                "{}/admin/v2/persistent/public/default/{TOPIC}-partition-{partition}/internalStats",
                self.pulsar.admin_url()
            );
            let stats = curl(&[&url])?.context("internal stats")?;
            let stats: serde_json::Value = serde_json::from_str(&stats)?;
            let of = stats.get("ledgers").and_then(serde_json::Value::as_array);
            ledgers += of.context("ledgers")?.len();
        }
        Ok(ledgers)
    }

    /// Ends each gateway but one, which leads all then, and says which; starts them again after `look`.
    ///
    /// # Errors
    /// What `look` finds, or a gateway does not end or start as it should.
    pub fn each_alone(&mut self, mut look: impl FnMut(usize) -> Result<()>) -> Result<()> {
        for alone in 0..self.gateways.len() {
            for node in (0..self.gateways.len()).filter(|node| *node != alone) {
                self.gateways.get_mut(node).context("a gateway")?.stop()?;
                if let Some(down) = self.down.get_mut(node) {
                    *down = Some(Instant::now());
                }
            }
            look(alone)?;
            self.all_back()?;
        }
        Ok(())
    }

    /// Ends all gateways gently.
    ///
    /// # Errors
    /// One does not end well.
    pub fn end(mut self) -> Result<()> {
        self.gateways.iter_mut().try_for_each(Gateway::stop)
    }
}
