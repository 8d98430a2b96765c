//! `kop-gateway check` on real Pulsars: one that is set up for a gateway, and one that is as it comes
//! and asks who asks.

use anyhow::{Context, Result, ensure};
use kop_e2e::clients::curl;
use kop_e2e::install::{self, PULSAR_NEWEST, PULSAR_OLDEST};
use kop_e2e::pulsar::Pulsar;
use kop_e2e::scratch::{Scratch, tell};
use kop_e2e::tokens::{self, ADMIN};
use std::process::Command;

/// A web token for the role `kafka`.
const KAFKA: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJrYWZrYSJ9.NktKZlB_ryI2d4TLn8pNUTX1L9jPWieD-EPZy-vOGwo";
/// One for `admin` that was signed with another key.
const FORGED: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.NktKZlB_ryI2d4TLn8pNUTX1L9jPWieD-EPZy-vOGwo";

const INTERCEPTOR: &str = "brokerEntryMetadataInterceptors=org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor";
const EXPOSING: &str = "exposingBrokerEntryMetadataToClientEnabled=true";

/// What the command prints, and its status.
struct Checked {
    status: Option<i32>,
    text: String,
}

impl Checked {
    fn of(arguments: &[&str]) -> Result<Self> {
        let output = Command::new(install::binary("kop-gateway")?)
            .arg("check")
            .args(arguments)
            .output()
            .context("kop-gateway check")?;
        Ok(Self {
            status: output.status.code(),
            text: String::from_utf8(output.stdout)?,
        })
    }

    fn of_pulsar(pulsar: &Pulsar, more: &[&str]) -> Result<Self> {
        let (service, admin) = (pulsar.service_url(), pulsar.admin_url());
        Self::of(&[&["--pulsar", &service, "--pulsar-admin", &admin], more].concat())
    }

    fn of_role(scratch: &Scratch, pulsar: &Pulsar, token: &str) -> Result<Self> {
        let file = scratch.path().join("token");
        std::fs::write(&file, token)?;
        Self::of_pulsar(
            pulsar,
            &["--pulsar-token-file", &file.display().to_string()],
        )
    }

    /// Ended with that status, and said these.
    fn says(&self, status: i32, texts: &[&str]) -> Result<()> {
        ensure!(
            self.status == Some(status),
            "status {:?} instead of {status}:\n{}",
            self.status,
            self.text
        );
        for text in texts {
            ensure!(self.text.contains(text), "no {text:?} in:\n{}", self.text);
        }
        Ok(())
    }

    fn does_not_say(&self, texts: &[&str]) -> Result<()> {
        for text in texts {
            ensure!(!self.text.contains(text), "{text:?} in:\n{}", self.text);
        }
        Ok(())
    }
}

#[test]
fn a_pulsar_that_is_set_up_lacks_nothing() {
    tell("check-newest", |scratch| {
        let pulsar = Pulsar::start(scratch, PULSAR_NEWEST, &[])?;
        let checked = Checked::of_pulsar(&pulsar, &[])?;
        checked.says(0, &[PULSAR_NEWEST, "all is well"])?;
        let url = format!("{}/admin/v2/persistent/public/default", pulsar.admin_url());
        for url in [format!("{url}/partitioned"), url] {
            let topics = curl(&[&url])?.context("topics are listed")?;
            ensure!(!topics.contains("__kop_check"), "left behind: {topics}");
        }
        let wrong = Checked::of_pulsar(&pulsar, &["--tenant", "nobody"])?;
        wrong.says(1, &["bin/pulsar-admin tenants create nobody"])?;

        // The ports the other way round.
        let (service, admin) = (pulsar.service_url(), pulsar.admin_url());
        let web = admin.replace("http", "pulsar");
        Checked::of(&["--pulsar", &web, "--pulsar-admin", &admin])?
            .says(2, &["unreachable  brokers"])?;
        let binary = service.replace("pulsar", "http");
        Checked::of(&["--pulsar", &service, "--pulsar-admin", &binary])?
            .says(2, &["unreachable  admin service"])
    });
}

#[test]
fn a_pulsar_as_it_comes_is_told_what_it_lacks_as_far_as_the_role_sees() {
    tell("check-oldest-bare", |scratch| {
        let settings = tokens::settings();
        let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let pulsar = Pulsar::start_bare(scratch, PULSAR_OLDEST, &settings, Some(ADMIN))?;

        Checked::of_pulsar(&pulsar, &[])?.says(2, &["--pulsar-token-file"])?;
        Checked::of_role(scratch, &pulsar, FORGED)?.says(2, &["does not accept the token"])?;
        let lacking = [INTERCEPTOR, EXPOSING];
        let deletes = "brokerDeleteInactiveTopicsEnabled=false";
        let retention = "namespaces set-retention public/default --time -1 --size -1";
        let superuser = Checked::of_role(scratch, &pulsar, ADMIN)?;
        superuser.says(1, &lacking)?;
        superuser.says(
            1,
            &[deletes, retention, "allowAutoTopicCreationType=partitioned"],
        )?;

        let nobody = Checked::of_role(scratch, &pulsar, KAFKA)?;
        nobody.says(
            1,
            &[
                "it stands for kafka",
                "rights in public/default",
                "bin/pulsar-admin tenants update public --admin-roles kafka",
                "bin/pulsar-admin namespaces create public/__kafka",
            ],
        )?;
        let header = format!("Authorization: Bearer {ADMIN}");
        let tenant = format!("{}/admin/v2/tenants/public", pulsar.admin_url());
        let roles = r#"{"adminRoles":["kafka"],"allowedClusters":["standalone"]}"#;
        let json = "Content-Type: application/json";
        curl(&[
            "-X", "POST", "-H", &header, "-H", json, "-d", roles, &tenant,
        ])?
        .context("the role becomes an administrator of the tenant")?;
        // What it may not look at is found out by trying.
        let administrator = Checked::of_role(scratch, &pulsar, KAFKA)?;
        administrator.says(1, &lacking)?;
        administrator.says(
            1,
            &[deletes, retention, "removed: tried", "broker settings"],
        )?;
        administrator.does_not_say(&["tenants update", "namespaces create"])
    });
}
