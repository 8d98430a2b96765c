//! `stub-pulsar`: a broker that only acknowledges, until it is killed. Prints `ready SERVICE-URL ADMIN-URL`.

use anyhow::Result;
use kop_e2e::stub::Stub;

#[expect(clippy::print_stdout, reason = "whoever started it waits for the line")]
fn main() -> Result<()> {
    let stub = Stub::start()?;
    println!("ready {} {}", stub.service_url(), stub.admin_url());
    loop {
        std::thread::park();
    }
}
