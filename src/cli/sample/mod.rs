//! A small web server that says which replica it is: what `plimsoll demo` and the tests put behind the gateway.
//!
//! It is a good citizen on purpose. After TERM it goes on accepting for half a second, so that what its kernel accepted is
//! served, answers with `Connection: close`, finishes what is in flight and exits 0. `--abrupt` is the opposite.

mod answer;
mod server;

use super::{Command, Failure};
use anyhow::Context;
use clap::{Args, FromArgMatches};
use std::net::IpAddr;

/// `plimsoll __sample`.
pub(super) const COMMAND: Command = Command {
    name: "__sample",
    about: "Serve sample answers that name this replica",
    example: "plimsoll __sample --port 8080 --name web-1",
    arguments: |command| SampleArgs::augment_args(command),
    run: |matches| run(SampleArgs::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?),
};

#[derive(Args, Clone, Debug)]
struct SampleArgs {
    /// Port to listen on; 0: any, which is printed [default: PORT from the environment, else 8080]
    #[arg(long)]
    port: Option<u16>,
    /// Address to listen on
    #[arg(long, default_value = "0.0.0.0")]
    address: IpAddr,
    /// Name of this replica [default: what the provider calls it, else the host's name]
    #[arg(long)]
    name: Option<String>,
    /// End at once on TERM, whatever is in flight
    #[arg(long)]
    abrupt: bool,
    /// Wait so long before listening, in milliseconds: a replica that is slow to start
    #[arg(long, default_value_t = 0)]
    start_delay_ms: u64,
}

fn run(args: SampleArgs) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime cannot start")?;
    runtime.block_on(server::serve(args))?;
    Ok(())
}

fn default_port() -> u16 {
    std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080)
}

fn default_name() -> String {
    let from_env = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let of_host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    from_env("PLIMSOLL_REPLICA")
        .or_else(|| from_env("HOSTNAME"))
        .or_else(of_host)
        .unwrap_or_else(|| "sample".to_owned())
}
