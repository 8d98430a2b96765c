//! Tokens over time, of an issuer in the test's hands.
use std::sync::Mutex;

use futures::future::join_all;
use tokio::{task::JoinHandle, time::sleep};

use super::*;
use crate::oauth2::{PATIENCE, obtain};

/// How a try goes: after how long, and to which lifetime, if it is no failure.
type Course = fn(u64) -> (Duration, Option<Duration>);

struct Scripted {
    course: Course,
    start: Instant,
    asked: Arc<Mutex<Vec<Duration>>>,
}

impl Grants for Scripted {
    async fn grant(&mut self) -> Result<Grant, OAuth2Error> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(self.start.elapsed());
            asked.len() as u64
        };
        let (takes, lifetime) = (self.course)(number);
        sleep(takes).await;
        match lifetime {
            Some(lifetime) => Ok(Grant {
                text: format!("token-{number}"),
                lifetime,
            }),
            None => Err(OAuth2Error::Url {
                problem: format!("failure {number}"),
            }),
        }
    }
}

/// A keeper that runs, and those who want tokens of it.
struct Told {
    published: watch::Receiver<Published>,
    wanted: watch::Sender<u64>,
    asked: Arc<Mutex<Vec<Duration>>>,
    start: Instant,
    keeper: JoinHandle<()>,
}

impl Told {
    fn of(course: Course) -> Self {
        let (wanted, wants) = watch::channel(0);
        let (publish, published) = watch::channel(Published::default());
        let (start, asked) = (Instant::now(), Arc::default());
        let scripted = Scripted {
            course,
            start,
            asked: Arc::clone(&asked),
        };
        Self {
            published,
            wanted,
            asked,
            start,
            keeper: tokio::spawn(Keeper::new(scripted, publish, wants).run()),
        }
    }

    async fn obtain(&self, unwanted: Unwanted) -> Result<Token, OAuth2Error> {
        let token = obtain(self.published.clone(), &self.wanted, unwanted).await?;
        assert!(Instant::now() < token.expires_at, "{token:?} has expired");
        Ok(token)
    }

    /// Number of the token that one gets who wants any.
    async fn number(&self) -> Result<u64, OAuth2Error> {
        self.obtain(Unwanted::default())
            .await
            .map(|token| token.number)
    }

    async fn after(&self, until: u64) -> Result<u64, OAuth2Error> {
        let unwanted = Unwanted { until, refused: 0 };
        self.obtain(unwanted).await.map(|token| token.number)
    }

    /// When the issuer was asked, in seconds from the beginning.
    fn asked(&self) -> Vec<f64> {
        let asked = self.asked.lock().unwrap();
        // Timers are as fine as a millisecond.
        let seconds = |at: &Duration| (at.as_secs_f64() * 10.0).floor() / 10.0;
        asked.iter().map(seconds).collect()
    }

    async fn until(&self, second: f64) {
        tokio::time::sleep_until(self.start + Duration::from_secs_f64(second)).await;
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn however_many_want_one_the_issuer_is_asked_once() {
    let told = Told::of(|_| (seconds(2), Some(seconds(100))));
    assert!(told.asked().is_empty(), "nobody has wanted one yet");
    let numbers = join_all((0..50).map(|_| told.number())).await;
    assert!(numbers.into_iter().all(|number| number == Ok(1)));
    told.until(74.0).await;
    assert_eq!(told.number().await, Ok(1));
    assert_eq!(told.asked(), [0.0]);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_in_good_time_though_nobody_wants_it() {
    let told = Told::of(|_| (Duration::ZERO, Some(seconds(100))));
    assert_eq!(told.number().await, Ok(1));
    told.until(300.0).await;
    assert_eq!(told.asked(), [0.0, 75.0, 150.0, 225.0]);
    assert_eq!(told.number().await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_counts_from_when_the_token_was_asked_for() {
    let told = Told::of(|_| (seconds(6), Some(seconds(10))));
    assert_eq!(told.number().await, Ok(1));
    told.until(7.4).await;
    assert_eq!(told.asked(), [0.0]);
    told.until(7.6).await;
    assert_eq!(told.asked(), [0.0, 7.5]);
    told.until(10.1).await;
    assert_eq!(told.number().await, Ok(2), "the first has expired");
    assert!(told.start.elapsed() >= Duration::from_millis(13_500));
}

#[tokio::test(start_paused = true)]
async fn a_slow_issuer_keeps_nobody_while_the_old_token_is_good() {
    let told = Told::of(|number| (seconds(if number == 1 { 0 } else { 8 }), Some(seconds(100))));
    assert_eq!(told.number().await, Ok(1));
    told.until(76.0).await;
    let before = Instant::now();
    assert_eq!(told.number().await, Ok(1));
    assert_eq!(before.elapsed(), PATIENCE);
    told.until(84.0).await;
    assert_eq!(told.number().await, Ok(2));
    assert_eq!(told.asked(), [0.0, 75.0]);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_fails_is_asked_ever_more_seldom_and_an_expired_token_is_not_offered() {
    let told = Told::of(|number| {
        let good = number == 1 || number > 7;
        (Duration::ZERO, good.then_some(seconds(100)))
    });
    assert_eq!(told.number().await, Ok(1));
    for second in [76.5, 80.0, 99.9] {
        told.until(second).await;
        let before = Instant::now();
        assert_eq!(told.number().await, Ok(1), "the old one is good yet");
        assert_eq!(
            before.elapsed(),
            Duration::ZERO,
            "nobody waits for a failure"
        );
    }
    told.until(100.1).await;
    assert!(told.number().await.is_err());
    told.until(137.0).await;
    assert_eq!(
        told.asked(),
        [0.0, 75.0, 76.0, 78.0, 82.0, 90.0, 106.0, 136.0]
    );
    assert_eq!(told.number().await, Ok(8), "it was asked again by itself");
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_told_at_once_and_no_crowd_asks_again() {
    let told = Told::of(|number| (seconds(1), (number > 1).then_some(seconds(100))));
    let failures = join_all((0..50).map(|_| told.number())).await;
    assert!(failures.into_iter().all(|failure| failure.is_err()));
    assert!(told.number().await.is_err());
    assert_eq!(told.asked(), [0.0]);
    told.until(2.1).await;
    assert_eq!(told.number().await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_asks_again_gets_a_younger_token() {
    let told = Told::of(|_| (Duration::ZERO, Some(seconds(100))));
    assert_eq!(told.number().await, Ok(1));
    told.until(10.0).await;
    let both = [told.after(1), told.after(1)];
    assert_eq!(join_all(both).await, [Ok(2), Ok(2)]);
    assert_eq!(told.after(1).await, Ok(2), "that one is younger already");
    // A broker that asks without end does not make us ask without end.
    assert_eq!(told.after(2).await, Ok(3));
    assert_eq!(told.after(3).await, Ok(4));
    assert_eq!(told.asked(), [0.0, 10.0, 11.0, 12.0]);
}

#[tokio::test(start_paused = true)]
async fn a_younger_token_is_not_made_up_where_the_issuer_fails() {
    let told = Told::of(|number| (Duration::ZERO, (number != 2).then_some(seconds(100))));
    assert_eq!(told.number().await, Ok(1));
    told.until(10.0).await;
    assert!(told.after(1).await.is_err());
    assert_eq!(told.number().await, Ok(1), "others may use what there is");
    told.until(11.1).await;
    assert_eq!(told.after(1).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_now_and_then_and_better_than_none() {
    let told = Told::of(|number| (Duration::ZERO, (number != 3).then_some(seconds(1_000))));
    assert_eq!(told.number().await, Ok(1));
    for (second, refused, number) in [(10.0, 1, 1), (31.0, 1, 2), (62.0, 2, 2), (64.0, 2, 4)] {
        told.until(second).await;
        let token = told.obtain(Unwanted { until: 0, refused }).await.unwrap();
        assert_eq!(token.number, number, "at second {second}");
    }
    assert_eq!(told.asked(), [0.0, 31.0, 62.0, 63.0]);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_seconds_are_enough_and_none_is_offered_when_it_has_expired() {
    let told = Told::of(|number| (Duration::from_millis(number % 3 * 400), Some(seconds(2))));
    let mut last = 0;
    for step in 0..300 {
        told.until(f64::from(step) * 0.1).await;
        let number = told.number().await.unwrap();
        assert!(number >= last);
        last = number;
    }
    assert!((15..=30).contains(&last), "{last}");
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_on_when_nobody_can_want_a_token() {
    let told = Told::of(|_| (Duration::ZERO, Some(seconds(100))));
    assert_eq!(told.number().await, Ok(1));
    let Told {
        keeper,
        wanted,
        asked,
        ..
    } = told;
    drop(wanted);
    keeper.await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);
}
