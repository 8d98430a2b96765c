//! One resource makes a running Pulsar speak Kafka, and its deletion gives the brokers back as they were.

use anyhow::{Context, Result, bail, ensure};
use kop_e2e::clients::{Java, Record, kafka_java, kcat_produce, kcat_read};
use kop_e2e::cluster::Cluster;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::{install, story, wait};
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(240);
const PULSAR: &str = "pulsar";
const OPERATOR: &str = "kop-system";
const INTERCEPTORS: &str = "PULSAR_PREFIX_brokerEntryMetadataInterceptors";

#[test]
fn a_resource_makes_a_running_pulsar_speak_kafka() {
    tell("kubernetes", |scratch| {
        let cluster = Cluster::start(scratch)?;
        let told = story(scratch, &cluster);
        cluster.describe(scratch, &[PULSAR, OPERATOR])?;
        told
    });
}

fn story(scratch: &Scratch, cluster: &Cluster) -> Result<()> {
    let kube = install::checkout().join("e2e/kube");
    cluster.kubectl(&["create", "namespace", PULSAR])?;
    cluster.apply(PULSAR, &kube.join("pulsar/broker.yaml"))?;
    cluster.apply(PULSAR, &kube.join("client.yaml"))?;
    install_operator(cluster)?;
    rolled_out(cluster, "statefulset/pulsar-broker")?;
    unfit_credentials_are_refused(scratch, cluster)?;
    let before = broker_settings(cluster)?;
    let pod_before = broker_pod(cluster)?;

    let resource = scratch.data("kafka-on-pulsar.yaml");
    let text = std::fs::read_to_string(kube.join("kafka-on-pulsar.yaml"))?;
    std::fs::write(
        &resource,
        text.replace("NODE_ADDRESS", &cluster.node_address),
    )?;
    cluster.apply(PULSAR, &resource)?;
    cluster.wait(PULSAR, "kop/demo", "condition=Ready", PATIENCE)?;

    let patched = broker_settings(cluster)?;
    let interceptors = patched
        .get(INTERCEPTORS)
        .and_then(Value::as_str)
        .unwrap_or_default();
    ensure!(
        interceptors.contains("AppendIndexMetadataInterceptor"),
        "not patched: {patched}"
    );
    for (key, value) in before.as_object().context("data")? {
        let now = patched.get(key);
        ensure!(now == Some(value), "{key} was {value} and is {now:?}");
    }
    ensure!(
        broker_pod(cluster)? != pod_before,
        "the broker was not restarted"
    );

    from_a_pod(cluster)?;
    from_outside(scratch, cluster)?;
    deletion_gives_settings_back(cluster, &before)
}

fn install_operator(cluster: &Cluster) -> Result<()> {
    let chart = install::checkout().join("charts/kop").display().to_string();
    let mut arguments = vec!["install", "kop", &chart, "--namespace", OPERATOR];
    arguments.extend(["--create-namespace", "--wait", "--timeout", "120s"]);
    for value in [
        "image.repository=docker.io/library/kop-operator",
        "image.tag=e2e",
        "gateway.image.repository=docker.io/library/kop-gateway",
        "gateway.image.tag=e2e",
    ] {
        arguments.extend(["--set", value]);
    }
    cluster.helm(&arguments).map(drop)
}

/// Credentials that do not fit their type are refused by the API server itself.
fn unfit_credentials_are_refused(scratch: &Scratch, cluster: &Cluster) -> Result<()> {
    let file = scratch.data("credentials.yaml");
    let tried = |auth: &str| {
        let text = format!(
            "apiVersion: kop.pulsar.dev/v1alpha1\nkind: KafkaOnPulsar\n\
             metadata: {{name: credentials}}\nspec:\n  \
               pulsar: {{serviceUrl: 'pulsar://p:6650', adminUrl: 'http://p:8080', auth: {auth}}}\n  \
               listeners: [{{name: plain, port: 9092, type: internal}}]\n"
        );
        std::fs::write(&file, text)?;
        let file = file.display().to_string();
        cluster.kubectl(&["-n", PULSAR, "apply", "--dry-run=server", "-f", &file])
    };
    let (secret, issuer) = ("{name: s}", "{issuerUrl: 'https://i/p', audience: a}");
    tried(&format!(
        "{{type: OAuth2, oauth2SecretRef: {secret}, oauth2: {issuer}}}"
    ))?;
    for (auth, words) in [
        (
            format!("{{type: OAuth2, oauth2: {issuer}}}"),
            "auth OAuth2 needs oauth2SecretRef",
        ),
        (
            format!("{{type: OAuth2, oauth2SecretRef: {secret}}}"),
            "auth OAuth2 needs oauth2",
        ),
        (
            format!("{{type: Token, tokenSecretRef: {secret}, oauth2: {issuer}}}"),
            "oauth2 and oauth2SecretRef need auth OAuth2",
        ),
        (
            format!(
                "{{type: OAuth2, oauth2SecretRef: {secret}, oauth2: {{issuerUrl: 'ftp://i'}}}}"
            ),
            "issuerUrl",
        ),
        ("{type: Tls}".to_owned(), "Unsupported value"),
    ] {
        match tried(&auth) {
            Ok(said) => bail!("{auth} is taken: {said}"),
            Err(error) => {
                let said = format!("{error:#}");
                ensure!(said.contains(words), "{auth}: {said}");
            }
        }
    }
    Ok(())
}

fn rolled_out(cluster: &Cluster, workload: &str) -> Result<()> {
    cluster
        .kubectl(&[
            "-n",
            PULSAR,
            "rollout",
            "status",
            workload,
            "--timeout=240s",
        ])
        .map(drop)
}

fn broker_settings(cluster: &Cluster) -> Result<Value> {
    let map = cluster
        .get(PULSAR, "configmap", "pulsar-broker")?
        .context("the ConfigMap")?;
    map.get("data").cloned().context("its data")
}

fn broker_pod(cluster: &Cluster) -> Result<Value> {
    let pod = cluster
        .get(PULSAR, "pod", "pulsar-broker-0")?
        .context("the broker's pod")?;
    pod.pointer("/metadata/uid").cloned().context("its uid")
}

/// kcat in a pod writes to and reads from the internal bootstrap address that the status names.
fn from_a_pod(cluster: &Cluster) -> Result<()> {
    let resource = cluster
        .get(PULSAR, "kop", "demo")?
        .context("the resource")?;
    let listeners = resource
        .pointer("/status/listeners")
        .and_then(Value::as_array);
    let bootstrap = listeners
        .context("listeners in the status")?
        .iter()
        .find(|listener| listener.get("name").is_some_and(|name| name == "plain"))
        .and_then(|listener| listener.get("bootstrapServers")?.as_str())
        .context("the bootstrap address of listener plain")?;
    // Ready speaks of the pods; that a node's kube-proxy has heard of them is nobody's to know but who connects.
    // kcat gives up at the first refusal.
    let list = format!("kcat -L -q -b {bootstrap}");
    let in_the_pod = ["-n", PULSAR, "exec", "client", "--", "sh", "-c"];
    wait::until("the node routes the bootstrap address", PATIENCE, || {
        Ok(cluster.kubectl(&[&in_the_pod[..], &[&list]].concat()).ok())
    })?;
    let run = format!(
        "seq 1000 | kcat -P -b {bootstrap} -t from-a-pod -X acks=all -X topic.metadata.refresh.interval.ms=1000 && \
         kcat -C -b {bootstrap} -t from-a-pod -o beginning -e -q | sort -n | uniq | wc -l"
    );
    let said = cluster.kubectl(&[&in_the_pod[..], &[&run]].concat())?;
    ensure!(said.trim() == "1000", "from a pod: {said}");
    Ok(())
}

/// Clients on this machine write and read through the node ports.
fn from_outside(scratch: &Scratch, cluster: &Cluster) -> Result<()> {
    const COUNT: usize = 5_000;
    let bootstrap = format!("{}:32100", cluster.node_address);
    let (topic, count) = ("from-outside", COUNT.to_string());
    story::run(kafka_java(
        scratch,
        Java::Newest,
        "create",
        &["create", &bootstrap, topic, "4"],
    )?)?;
    let mut java = kafka_java(
        scratch,
        Java::Newest,
        "java",
        &["produce", &bootstrap, topic, "0", &count, "java"],
    )?;
    java.succeed(PATIENCE)
        .context("the Java producer outside")?;
    let lines = story::lines_file(scratch, "lines", "kcat", 0, COUNT)?;
    story::run(kcat_produce(
        scratch,
        "kcat",
        &bootstrap,
        topic,
        &lines,
        &[],
    )?)?;
    let mut reader = kcat_read(scratch, "kcat-read", &bootstrap, topic)?;
    reader.succeed(PATIENCE).context("kcat outside")?;
    let read = story::records(&reader, Record::got);
    let mut expected: HashSet<String> = story::numbered("java", 0, COUNT).collect();
    expected.extend(story::numbered("kcat", 0, COUNT));
    story::each_once(&read, &expected)?;
    story::at_acknowledged_offsets(&story::records(&java, Record::acked), &read)
}

/// After the deletion the ConfigMap is as before, but for the index interceptor, which stays.
fn deletion_gives_settings_back(cluster: &Cluster, before: &Value) -> Result<()> {
    cluster.kubectl(&["-n", PULSAR, "delete", "kop", "demo", "--timeout=240s"])?;
    wait::until("the broker's settings as before", PATIENCE, || {
        let mut after = broker_settings(cluster)?;
        let kept = after
            .as_object_mut()
            .and_then(|data| data.remove(INTERCEPTORS))
            .and_then(|value| {
                value
                    .as_str()
                    .map(|v| v.contains("AppendIndexMetadataInterceptor"))
            });
        Ok((after == *before && kept == Some(true)).then_some(()))
    })?;
    wait::until("the end of the gateways", PATIENCE, || {
        let deployments =
            cluster.kubectl(&["-n", PULSAR, "get", "deployments,services", "-o", "name"])?;
        Ok((!deployments.contains("demo")).then_some(()))
    })?;
    rolled_out(cluster, "statefulset/pulsar-broker")
}
