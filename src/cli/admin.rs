//! Where a gateway on this machine can be asked, as its document says.

use super::Failure;
use super::http::Endpoint;
use super::source::{find, folder_of, load};
use crate::admin::Token;
use anyhow::Context;
use plimsoll_core::config::{Admin, AdminAddress, Gateway};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

/// Someone to ask, and the token that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) endpoint: Endpoint,
    pub(super) token: Option<Token>,
}

/// For `/readyz`: the status address, else the admin API, of the document that `config` names or that `run` would find.
pub(super) fn door(config: Option<&Path>) -> Result<Door, Failure> {
    let Some(path) = config.map(Path::to_owned).or_else(find) else {
        return door_of(&Gateway::default(), Path::new("."));
    };
    let loaded = load(&path)?;
    // A gateway may well run on with the document before this one; it most likely listens where it always did.
    let gateway = loaded.read.ok().and_then(|read| read.document.gateway).unwrap_or_default();
    door_of(&gateway, &folder_of(&path))
}

fn door_of(gateway: &Gateway, folder: &Path) -> Result<Door, Failure> {
    if let Some(status) = gateway.status {
        return Ok(Door { endpoint: tcp(status), token: None });
    }
    let Some(Admin { address, token_file, .. }) = &gateway.admin else {
        let message = "the document switches `admin` off and has no `status`: there is nothing to ask";
        return Err(Failure::Input(message.to_owned()));
    };
    let endpoint = match address {
        AdminAddress::Tcp(address) => tcp(*address),
        AdminAddress::Unix(path) => Endpoint::Unix(folder.join(&**path)),
    };
    let token = token_file.as_ref().map(|file| read_token(&folder.join(&**file))).transpose()?;
    Ok(Door { endpoint, token })
}

/// The token in a file, as the gateway reads it.
pub(super) fn read_token(path: &Path) -> anyhow::Result<Token> {
    Token::read(path).with_context(|| format!("cannot read the token in {}", path.display()))
}

/// What listens everywhere is reached over loopback.
fn tcp(address: SocketAddr) -> Endpoint {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // `[::]` takes IPv4 too, and loopback has IPv4 where IPv6 is off.
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        other => other,
    };
    Endpoint::Tcp(SocketAddr::new(ip, address.port()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_address_comes_before_the_admin_api() {
        let unix = Admin { address: AdminAddress::Unix("a.sock".into()), ..Admin::default() };
        let tcp = |address: &str| Some(Endpoint::Tcp(address.to_owned()));
        let cases = [
            (Gateway::default(), tcp("127.0.0.1:8001")),
            (Gateway { status: Some("0.0.0.0:8100".parse().unwrap()), ..Gateway::default() }, tcp("127.0.0.1:8100")),
            (Gateway { status: Some("[::]:8100".parse().unwrap()), ..Gateway::default() }, tcp("127.0.0.1:8100")),
            (Gateway { admin: Some(unix), ..Gateway::default() }, Some(Endpoint::Unix("/etc/p/a.sock".into()))),
            (Gateway { admin: None, ..Gateway::default() }, None),
        ];
        for (gateway, expected) in cases {
            assert_eq!(door_of(&gateway, Path::new("/etc/p")).ok().map(|door| door.endpoint), expected);
        }
    }
}
