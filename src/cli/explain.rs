//! `plimsoll explain`: which route a request takes and why, and where it goes. Sends nothing to any target.

use super::admin::read_token;
use super::http::{Address, get};
use super::output::{Output, say, say_json};
use super::{Command, Failure};
use crate::snapshot::explain::{Explanation, Question};
use anyhow::{Context, anyhow};
use clap::{ArgGroup, Args, FromArgMatches};
use std::path::PathBuf;
use std::time::Duration;

/// A gateway answers this from memory.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `plimsoll explain`.
pub(super) const COMMAND: Command = Command {
    name: "explain",
    about: "Say which route a request takes, why the others lose, and where it goes",
    example: "plimsoll explain GET http://shop.example/api --config plimsoll.yaml",
    arguments: |command| ExplainArgs::augment_args(command),
    run: |matches| run(&ExplainArgs::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?),
};

#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("against").required(true).args(["config", "admin"]))]
struct ExplainArgs {
    /// The request's method
    method: String,
    /// The request's URL, or its path alone
    url: String,
    /// A header of the request, `NAME: VALUE`; again for more
    #[arg(long, short = 'H', value_name = "HEADER")]
    header: Vec<String>,
    /// Ask this document, without any gateway
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask the gateway that runs, at its admin API: http://HOST:PORT or unix:PATH
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// File with the admin API's token
    #[arg(long, value_name = "FILE", requires = "admin")]
    token_file: Option<PathBuf>,
    /// How to answer
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let method = args.method.to_ascii_uppercase();
    let question = Question::parse(&method, &args.url, &args.header);
    let question = question.map_err(|error| Failure::Usage(error.to_string()))?;
    let explanation = match (&args.admin, &args.config) {
        (Some(admin), _) => ask(admin, args, &method)?,
        (None, Some(config)) => super::offline::explain(config, &question)?,
        (None, None) => return Err(Failure::Usage("either --config or --admin is needed".to_owned())),
    };
    match args.output {
        Output::Text => say(&explanation.to_string()),
        Output::Json => say_json(&serde_json::to_value(&explanation).context("cannot be told as JSON")?),
    }
    Ok(())
}

fn ask(admin: &str, args: &ExplainArgs, method: &str) -> Result<Explanation, Failure> {
    let address = Address::parse(admin).map_err(|error| Failure::Usage(format!("{error:#}")))?;
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let mut path = format!("/explain?method={}&url={}", encode(method), encode(&args.url));
    for header in &args.header {
        path.push_str(&format!("&header={}", encode(header)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot start")?;
    let answer = runtime.block_on(get(&address.endpoint, &path, token.as_ref(), TIMEOUT))?;
    if answer.status != 200 {
        let body = String::from_utf8_lossy(&answer.body);
        return Err(Failure::Environment(anyhow!("{admin} answered {}: {}", answer.status, body.trim())));
    }
    Ok(serde_json::from_slice(&answer.body).with_context(|| format!("{admin} did not answer as a gateway does"))?)
}

/// For a query's value (RFC 3986 §2.3: what is not unreserved).
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_querys_value_survives_the_way() {
        assert_eq!(encode("http://a.test/ä?b=1&c"), "http%3A%2F%2Fa.test%2F%C3%A4%3Fb%3D1%26c");
    }
}
