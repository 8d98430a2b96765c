//! A real Kubernetes cluster: the project's own, or the one that `KUBECONFIG` names.

use crate::install;
use crate::scratch::{Scratch, free_ports};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Node ports of the project's own cluster that are shown on 127.0.0.1 of this machine.
pub const NODE_PORTS: [u16; 2] = [32_100, 32_110];

/// A running cluster with the project's images on its nodes. The project's own is stopped at the end.
#[derive(Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    own: Option<Own>,
    /// The address at which node ports can be reached from this machine.
    pub node_address: String,
}

#[derive(Debug)]
struct Own {
    environment: Vec<(&'static str, String)>,
}

impl Cluster {
    /// Makes the images of the programs under test and starts a cluster that has them.
    ///
    /// With `KUBECONFIG` set, that cluster is taken, and `KOP_E2E_LOAD_IMAGE IMAGE.tar` is run for
    /// each image, for example `kind load image-archive`.
    ///
    /// # Errors
    /// A part is missing or the cluster does not start; the message or the log named in it says more.
    pub fn start(scratch: &Scratch) -> Result<Self> {
        let images = scratch.data("images");
        let binaries = install::binary("kop-gateway")?
            .parent()
            .context("binaries are in a folder")?
            .to_owned();
        let log = File::create(scratch.path().join("images.log"))?;
        let mut make = script("images.sh");
        make.arg(binaries).arg(&images);
        run_logged(make, log).context("e2e/kube/images.sh")?;
        let parts = install::cache()?.join("kube/parts");
        let tars = [
            images.join("kop-gateway.tar"),
            images.join("kop-operator.tar"),
            parts.join("pulsar.tar"),
        ];
        match std::env::var_os("KUBECONFIG") {
            Some(kubeconfig) => Self::given(kubeconfig.into(), &tars),
            None => Self::own(scratch, &tars),
        }
    }

    fn given(kubeconfig: PathBuf, images: &[PathBuf]) -> Result<Self> {
        let load = std::env::var("KOP_E2E_LOAD_IMAGE").context(
            "with KUBECONFIG, KOP_E2E_LOAD_IMAGE must be a command that brings an image tar to the nodes",
        )?;
        for image in images {
            let loaded = Command::new("sh")
                .args(["-c", &format!("{load} \"$0\"")])
                .arg(image)
                .status()?;
            ensure!(loaded.success(), "{load} {}: {loaded}", image.display());
        }
        let mut cluster = Self {
            kubeconfig,
            own: None,
            node_address: String::new(),
        };
        let path = "{.items[0].status.addresses[?(@.type=='InternalIP')].address}";
        cluster.node_address =
            cluster.kubectl(&["get", "nodes", "-o", &format!("jsonpath={path}")])?;
        Ok(cluster)
    }

    fn own(scratch: &Scratch, images: &[PathBuf]) -> Result<Self> {
        let [api] = free_ports()?;
        // Not below the story's folder: that would be emptied under a cluster that a killed run left.
        let run = install::target_dir()?.join("e2e-cluster");
        let mut hasher = DefaultHasher::new();
        run.hash(&mut hasher);
        let left = run.join("node1/pid").exists();
        let kubeconfig = scratch.path().join("kubeconfig");
        let images: Vec<String> = images.iter().map(|i| i.display().to_string()).collect();
        let ports = NODE_PORTS.map(|port| format!("127.0.0.1:{port}=172.30.0.11:{port}"));
        let environment = vec![
            ("RUN", run.display().to_string()),
            ("KUBECONFIG_OUT", kubeconfig.display().to_string()),
            ("API_PORT", api.to_string()),
            ("CG", format!("/kop-e2e-{:x}", hasher.finish())),
            ("IMAGES", images.join(" ")),
            ("EXTRA_PORTS", ports.join(" ")),
        ];
        if left {
            let mut down = script("down.sh");
            down.envs(environment.iter().map(|(name, value)| (name, value)));
            ensure!(
                down.status()?.success(),
                "a cluster that was left running does not stop"
            );
        }
        let mut up = script("up.sh");
        up.envs(environment.iter().map(|(name, value)| (name, value)));
        // Stopped also when it does not come up whole.
        let cluster = Self {
            kubeconfig,
            own: Some(Own { environment }),
            node_address: "127.0.0.1".to_owned(),
        };
        let log = File::create(scratch.path().join("cluster-up.log"))?;
        if let Err(error) = run_logged(up, log) {
            // Its own folder goes with it.
            let mut copy = Command::new("cp");
            copy.arg("-r")
                .arg(run.join("node1/log"))
                .arg(scratch.path().join("node1-log"));
            return match copy.status() {
                Ok(_) => Err(error.context("e2e/kube/up.sh; see node1-log")),
                Err(_) => Err(error.context("e2e/kube/up.sh")),
            };
        }
        Ok(cluster)
    }

    /// What `kubectl ARGUMENTS` prints.
    ///
    /// # Errors
    /// It fails; its standard error is in the message.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.tool("kubectl", arguments)
    }

    /// What `helm ARGUMENTS` prints.
    ///
    /// # Errors
    /// It fails; its standard error is in the message.
    pub fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.tool("helm", arguments)
    }

    /// An object, or `None` if it does not exist.
    ///
    /// # Errors
    /// kubectl fails otherwise.
    pub fn get(&self, namespace: &str, kind: &str, name: &str) -> Result<Option<Value>> {
        let arguments = [
            "-n",
            namespace,
            "get",
            kind,
            name,
            "-o",
            "json",
            "--ignore-not-found",
        ];
        let text = self.kubectl(&arguments)?;
        if text.is_empty() {
            Ok(None)
        } else {
            Ok(Some(serde_json::from_str(&text)?))
        }
    }

    /// Applies a manifest.
    ///
    /// # Errors
    /// The API server refuses it.
    pub fn apply(&self, namespace: &str, manifest: &Path) -> Result<()> {
        let manifest = manifest.display().to_string();
        self.kubectl(&["-n", namespace, "apply", "-f", &manifest])
            .map(drop)
    }

    /// Waits by `kubectl wait`.
    ///
    /// # Errors
    /// The condition does not come true in time.
    pub fn wait(&self, namespace: &str, object: &str, until: &str, within: Duration) -> Result<()> {
        let timeout = format!("--timeout={}s", within.as_secs());
        let until = format!("--for={until}");
        self.kubectl(&["-n", namespace, "wait", object, &until, &timeout])
            .map(drop)
    }

    /// Writes all that a person would look at into the story's folder.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn describe(&self, scratch: &Scratch, namespaces: &[&str]) -> Result<()> {
        let mut text = String::new();
        for namespace in namespaces {
            let mut ask = |arguments: &[&str]| {
                let said = self
                    .kubectl(arguments)
                    .unwrap_or_else(|error| format!("{error:#}"));
                text.push_str(&format!("=== kubectl {}\n{said}\n", arguments.join(" ")));
            };
            let all = "all,configmaps,kop,events";
            ask(&["-n", namespace, "get", all, "-o", "wide"]);
            ask(&["-n", namespace, "get", "kop", "-o", "yaml"]);
            ask(&["-n", namespace, "describe", "pods"]);
            let pods = self.kubectl(&["-n", namespace, "get", "pods", "-o", "name"])?;
            for pod in pods.lines() {
                ask(&["-n", namespace, "logs", "--tail=80", pod]);
                ask(&["-n", namespace, "logs", "--tail=80", "--previous", pod]);
            }
        }
        std::fs::write(scratch.path().join("cluster.txt"), text)?;
        Ok(())
    }

    fn tool(&self, tool: &str, arguments: &[&str]) -> Result<String> {
        let built = install::cache()?.join("kube/bin").join(tool);
        let program = if built.exists() {
            built
        } else {
            PathBuf::from(tool)
        };
        let output = Command::new(&program)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .output()
            .with_context(|| format!("{}: e2e/kube/build.sh makes it", program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{tool} {}: {}", arguments.join(" "), said.trim_end());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            let mut down = script("down.sh");
            down.envs(own.environment.iter().map(|(name, value)| (name, value)));
            if !down.status().is_ok_and(|status| status.success()) {
                eprintln!("e2e/kube/down.sh failed: {:?}", own.environment);
            }
        }
    }
}

fn script(name: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(install::checkout().join("e2e/kube").join(name));
    command
}

fn run_logged(mut command: Command, log: File) -> Result<()> {
    let status = command.stdout(log.try_clone()?).stderr(log).status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}
