//! Flags and their environment variables.

use clap::{Parser, Subcommand, ValueEnum};

/// Gives Pulsar deployments on Kubernetes the Kafka protocol.
#[derive(Debug, Parser)]
#[command(version, name = "kop-operator")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch KafkaOnPulsar resources and bring about what they say
    Run(RunArgs),
    /// Print the custom resource definition
    Crd,
}

/// Settings of `run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The gateway's image where a resource names none
    #[arg(long, env = "KOP_GATEWAY_IMAGE", value_name = "IMAGE")]
    pub gateway_image: Option<String>,

    /// Let resources name brokers of another namespace than their own
    #[arg(
        long,
        env = "KOP_ALLOW_CROSS_NAMESPACE_BROKERS",
        value_name = "true|false"
    )]
    #[arg(default_value_t = false, default_missing_value = "true", num_args = 0..=1)]
    #[arg(action = clap::ArgAction::Set, hide_possible_values = true)]
    pub allow_cross_namespace_brokers: bool,

    /// Where to serve /livez, /readyz and /metrics
    #[arg(long, env = "KOP_ADMIN_LISTEN", value_name = "HOST:PORT")]
    #[arg(default_value = "127.0.0.1:9101")]
    pub admin_listen: String,

    /// How log lines look
    #[arg(
        long,
        env = "KOP_LOG_FORMAT",
        value_name = "text|json",
        hide_possible_values = true
    )]
    #[arg(value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// The name of this operator's pod, for events
    #[arg(long, env = "KOP_POD_NAME", value_name = "NAME", hide = true)]
    pub pod_name: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn crossing_namespaces_can_be_said_with_and_without_a_value() {
        let allowed = |flags: &[&str]| {
            let args = Args::try_parse_from([&["kop-operator", "run"], flags].concat()).unwrap();
            match args.command {
                Command::Run(run) => run.allow_cross_namespace_brokers,
                Command::Crd => unreachable!("run was given"),
            }
        };
        assert!(!allowed(&[]));
        assert!(allowed(&["--allow-cross-namespace-brokers"]));
        assert!(!allowed(&["--allow-cross-namespace-brokers=false"]));
    }
}
