//! Sockets that the service manager bound (`LISTEN_FDS`), and whose they are.

use listenfd::ListenFd;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

/// A socket that was given.
#[derive(Debug)]
pub(crate) struct Given {
    /// `FileDescriptorName=` of its unit; the unit's name where there is none.
    name: String,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

/// The sockets that were given to this very process.
///
/// # Errors
/// One is of a kind that nothing here listens on.
pub(crate) fn given() -> Result<Vec<Given>, String> {
    let is_ours = std::env::var("LISTEN_PID").ok().and_then(|pid| pid.parse().ok()) == Some(std::process::id());
    if !is_ours {
        return Ok(Vec::new());
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = ListenFd::from_env();
    let mut given = Vec::new();
    for index in 0..sockets.len() {
        let name = names.next().unwrap_or_default().to_owned();
        let socket = match (sockets.take_tcp_listener(index), sockets.take_unix_listener(index)) {
            (Ok(Some(socket)), _) => socket.local_addr().map(|address| Socket::Tcp(socket, address)),
            (_, Ok(Some(socket))) => socket.local_addr().map(|address| {
                let path = address.as_pathname().map(PathBuf::from).unwrap_or_default();
                Socket::Unix(socket, path)
            }),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(None), Ok(None)) => continue,
        };
        let socket =
            socket.map_err(|error| format!("LISTEN_FDS: socket {index} (`{name}`) cannot be used: {error}"))?;
        given.push(Given { name, socket });
    }
    Ok(given)
}

/// What a gateway listens on.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Listeners by name.
    pub(crate) listeners: Vec<(Arc<str>, SocketAddr)>,
    /// The admin API and the status endpoints, by name.
    pub(crate) doors: Vec<(&'static str, Door)>,
}

/// Where a door is.
#[derive(Debug)]
pub(crate) enum Door {
    /// An address.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

/// Sockets and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    /// Listeners', by name.
    pub(crate) listeners: Vec<(String, TcpListener)>,
    /// Doors', by what the document says of their addresses.
    pub(crate) doors: Vec<(String, OwnedFd)>,
}

/// Gives every socket to the listener (or to the `admin` or `status` address) that has its name, else to the one that has
/// its address.
///
/// # Errors
/// A socket fits nothing.
pub(crate) fn assign(given: Vec<Given>, wanted: &Wanted) -> Result<Assigned, String> {
    let mut assigned = Assigned::default();
    for Given { name, socket } in given {
        match socket {
            Socket::Tcp(socket, address) => {
                let by_name = wanted.listeners.iter().find(|(listener, _)| **listener == *name);
                let door = |fits: &dyn Fn(&str, SocketAddr) -> bool| {
                    wanted.doors.iter().find_map(|(door, at)| match at {
                        Door::Tcp(at) if fits(door, *at) => Some(at.to_string()),
                        Door::Tcp(_) | Door::Unix(_) => None,
                    })
                };
                let by_address = || wanted.listeners.iter().find(|(_, at)| same(*at, address));
                if let Some((listener, _)) = by_name {
                    assigned.listeners.push((listener.to_string(), socket));
                } else if let Some(door) = door(&|door, _| door == name) {
                    assigned.doors.push((door, socket.into()));
                } else if let Some((listener, _)) = by_address() {
                    assigned.listeners.push((listener.to_string(), socket));
                } else if let Some(door) = door(&|_, at| same(at, address)) {
                    assigned.doors.push((door, socket.into()));
                } else {
                    return Err(unfit(&name, &address, wanted));
                }
            }
            Socket::Unix(socket, path) => {
                let door = wanted.doors.iter().find_map(|(door, at)| match at {
                    Door::Unix(at) if *door == name || *at == path => Some(at),
                    Door::Tcp(_) | Door::Unix(_) => None,
                });
                let at = door.ok_or_else(|| unfit(&name, &path.display(), wanted))?;
                assigned.doors.push((format!("unix:{}", at.display()), socket.into()));
            }
        }
    }
    Ok(assigned)
}

/// Whether a socket at one address is what another one asks for: any address of one family is any of the other.
fn same(wanted: SocketAddr, bound: SocketAddr) -> bool {
    let any = wanted.ip().is_unspecified() && bound.ip().is_unspecified();
    wanted.port() == bound.port() && (any || wanted.ip().to_canonical() == bound.ip().to_canonical())
}

fn unfit(name: &str, address: &dyn fmt::Display, wanted: &Wanted) -> String {
    let mut fits: Vec<String> = wanted.listeners.iter().map(|(name, at)| format!("{name} ({at})")).collect();
    fits.extend(wanted.doors.iter().map(|(name, at)| match at {
        Door::Tcp(at) => format!("{name} ({at})"),
        Door::Unix(path) => format!("{name} (unix:{})", path.display()),
    }));
    format!(
        "LISTEN_FDS: nothing wants the socket `{name}` at {address}: name it by FileDescriptorName= as what it is for, or \
         give it that address. There are: {}",
        fits.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_go_by_name_then_by_address_and_what_fits_nothing_is_said() {
        let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
        let at = |socket: &TcpListener| socket.local_addr().unwrap();
        let given = |name: &str, socket: TcpListener| {
            let address = at(&socket);
            Given { name: name.to_owned(), socket: Socket::Tcp(socket, address) }
        };
        let (one, two, three, four) = (socket(), socket(), socket(), socket());
        let wanted = Wanted {
            listeners: vec![("http".into(), "[::]:80".parse().unwrap()), ("https".into(), at(&two))],
            doors: vec![("admin", Door::Unix("/run/a".into())), ("status", Door::Tcp(at(&three)))],
        };
        let all = vec![given("http", one), given("plimsoll.socket", two), given("plimsoll.socket", three)];
        let assigned = assign(all, &wanted).unwrap();
        let names: Vec<&str> = assigned.listeners.iter().map(|(name, _)| &**name).collect();
        assert_eq!((names, assigned.doors.len()), (vec!["http", "https"], 1));
        let error = assign(vec![given("odd", four)], &wanted).unwrap_err();
        for word in ["`odd`", "http ([::]:80)", "admin (unix:/run/a)"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn any_address_of_one_family_is_any_of_the_other() {
        let check = |one: &str, other: &str, expected| {
            assert_eq!(same(one.parse().unwrap(), other.parse().unwrap()), expected, "{one} {other}");
        };
        check("[::]:80", "0.0.0.0:80", true);
        check("0.0.0.0:80", "0.0.0.0:81", false);
        check("127.0.0.1:80", "[::ffff:127.0.0.1]:80", true);
        check("127.0.0.1:80", "0.0.0.0:80", false);
    }
}
