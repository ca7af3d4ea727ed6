//! `plimsoll healthcheck`: for a container's HEALTHCHECK, where no shell and no curl are.

use super::admin::{Door, door};
use super::http::{Address, get};
use super::{Command, Failure};
use anyhow::{Context, anyhow};
use clap::{Args, FromArgMatches};
use std::path::PathBuf;
use std::time::Duration;

/// What is asked where a URL has no path.
const READY: &str = "/readyz";
/// Under Docker's default timeout of 30 s by far: a gateway that does not answer is not ready.
const TIMEOUT: Duration = Duration::from_secs(3);

/// `plimsoll healthcheck`.
pub(super) const COMMAND: Command = Command {
    name: "healthcheck",
    about: "Exit 0 when the gateway is ready",
    example: "plimsoll healthcheck --url http://127.0.0.1:8001",
    arguments: |command| HealthcheckArgs::augment_args(command),
    run: |matches| {
        let args = HealthcheckArgs::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("the runtime cannot start")?.block_on(check(args))
    },
};

#[derive(Args, Clone, Debug)]
struct HealthcheckArgs {
    /// The document, which says where to ask [default: the one that `run` would find]
    #[arg(long, short, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// What to ask; `/readyz` where it has no path. Also `unix:PATH`
    #[arg(long)]
    url: Option<String>,
}

async fn check(args: HealthcheckArgs) -> Result<(), Failure> {
    let (door, path) = match &args.url {
        None => (door(args.config.as_deref())?, READY.to_owned()),
        Some(url) => {
            let address = Address::parse(url).map_err(|error| Failure::Usage(format!("{error:#}")))?;
            let path = if address.path == "/" { READY.to_owned() } else { address.path };
            (Door { endpoint: address.endpoint, token: None }, path)
        }
    };
    let answer = get(&door.endpoint, &path, door.token.as_ref(), TIMEOUT).await?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(Failure::Environment(anyhow!("{path} at {} answered {}: {}", door.endpoint, answer.status, body.trim())))
}
