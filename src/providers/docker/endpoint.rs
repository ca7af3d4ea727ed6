//! Where the engine is: what the document says, else where Docker's own command would look, else the usual sockets.

use aws_lc_rs::digest;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// An engine's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// With TLS: the folder with `ca.pem`, and with `cert.pem` and `key.pem` where the engine asks for them.
        tls: Option<PathBuf>,
    },
}

/// What of the environment says where an engine is, and where we are.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, else `~/.docker`.
    pub docker_config: Option<PathBuf>,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// Whether `DOCKER_TLS_VERIFY` is set and not empty.
    pub tls_verify: bool,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// Ids that the container in which we run may have, likeliest first. Whether there is one, the engine knows.
    pub own_ids: Vec<String>,
}

impl Environment {
    /// This process's.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| text(name).map(PathBuf::from);
        let home = path("HOME");
        Self {
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config: path("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker"))),
            cert_path: path("DOCKER_CERT_PATH"),
            tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
            home,
            runtime_dir: path("XDG_RUNTIME_DIR"),
            own_ids: super::own::candidates(),
        }
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let below = |folder: &Option<PathBuf>, path: &str| folder.as_ref().map(|folder| folder.join(path));
        let all = [
            Some(PathBuf::from("/var/run/docker.sock")),
            below(&self.runtime_dir, "docker.sock"),
            below(&self.home, ".docker/run/docker.sock"),
            below(&self.home, ".docker/desktop/docker.sock"),
            Some(PathBuf::from("/run/podman/podman.sock")),
            below(&self.runtime_dir, "podman/podman.sock"),
        ];
        all.into_iter().flatten().collect()
    }
}

impl Endpoint {
    /// The engine that `text` (`auto`, `unix:PATH`, `tcp:HOST:PORT`) names.
    ///
    /// # Errors
    /// In words: what is wrong with the text, or where an engine was looked for.
    pub fn find(text: &str, cert_path: Option<&str>, environment: &Environment) -> Result<Self, String> {
        let tls = cert_path.map(PathBuf::from);
        if text != "auto" {
            return Self::parse(text, tls);
        }
        if let Some(host) = &environment.docker_host {
            let by_environment = || environment.tls_verify.then(|| environment.cert_path.clone()).flatten();
            let by_default = || environment.docker_config.clone().filter(|_| environment.tls_verify);
            return Self::parse(host, tls.or_else(by_environment).or_else(by_default))
                .map_err(|error| format!("DOCKER_HOST: {error}"));
        }
        if let Some(endpoint) = Self::of_context(environment)? {
            return Ok(endpoint);
        }
        let sockets = environment.sockets();
        if let Some(found) = sockets.iter().find(|path| is_socket(path)) {
            return Ok(Self::Unix(found.clone()));
        }
        let tried: Vec<String> = sockets.iter().map(|path| path.display().to_string()).collect();
        Err(format!("no engine's socket is there; looked for {}", tried.join(", ")))
    }

    fn parse(text: &str, tls: Option<PathBuf>) -> Result<Self, String> {
        let wants = || format!("wants unix:PATH or tcp:HOST:PORT, not {text:?}");
        let (scheme, rest) = text.split_once(':').ok_or_else(wants)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" | "https" => {
                let rest = rest.trim_end_matches('/');
                let (host, port) = match rest.rsplit_once(':') {
                    Some((host, port)) if !host.ends_with(':') => (host, port.parse().map_err(|_| wants())?),
                    _ => (rest, if tls.is_some() { TLS_PORT } else { PLAIN_PORT }),
                };
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                if host.is_empty() || host.contains(['/', ' ']) {
                    return Err(wants());
                }
                if scheme == "https" && tls.is_none() {
                    return Err(format!("{text:?} wants `cert_path`, the folder with ca.pem"));
                }
                Ok(Self::Tcp { host, port, tls })
            }
            "ssh" => Err("an engine over ssh is not spoken to: forward its socket (ssh -L) and name that".to_owned()),
            _ => Err(wants()),
        }
    }

    /// Docker's current context. `None`: there is none, or it is the default one.
    fn of_context(environment: &Environment) -> Result<Option<Self>, String> {
        let Some(folder) = &environment.docker_config else { return Ok(None) };
        let name = environment.docker_context.clone().or_else(|| current_context(&folder.join("config.json")));
        let Some(name) = name.filter(|name| name != "default") else { return Ok(None) };
        let id = hex(digest::digest(&digest::SHA256, name.as_bytes()).as_ref());
        let path = folder.join("contexts/meta").join(&id).join("meta.json");
        let fail = |error: String| format!("the Docker context {name:?} ({}): {error}", path.display());
        let text = std::fs::read(&path).map_err(|error| fail(error.to_string()))?;
        let meta: ContextMeta = serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))?;
        let host = meta.endpoints.get("docker").map_or("", |docker| docker.host.as_str());
        let tls = folder.join("contexts/tls").join(&id).join("docker");
        let tls = tls.join("ca.pem").is_file().then_some(tls);
        Self::parse(host, tls).map(Some).map_err(fail)
    }

    /// Whether it can be there: a socket that exists, or any TCP address.
    #[must_use]
    pub fn is_there(&self) -> bool {
        match self {
            Self::Unix(path) => is_socket(path),
            Self::Tcp { .. } => true,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port, tls } if host.contains(':') => {
                write!(f, "tcp:[{host}]:{port}{}", if tls.is_some() { " (TLS)" } else { "" })
            }
            Self::Tcp { host, port, tls } => {
                write!(f, "tcp:{host}:{port}{}", if tls.is_some() { " (TLS)" } else { "" })
            }
        }
    }
}

/// Docker's `config.json`, of which one key is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct CliConfig {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Endpoints", default)]
    endpoints: BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

fn current_context(path: &Path) -> Option<String> {
    let config: CliConfig = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    config.current_context.filter(|name| !name.is_empty())
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// IANA's ports of the Docker API.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, tls: Option<&str>) -> Endpoint {
        Endpoint::Tcp { host: host.to_owned(), port, tls: tls.map(PathBuf::from) }
    }

    #[test]
    fn an_endpoint_is_a_socket_or_a_port() {
        let check = |text: &str, cert_path: Option<&str>, expected: Option<Endpoint>| {
            assert_eq!(Endpoint::find(text, cert_path, &Environment::default()).ok(), expected, "{text}");
        };
        check("unix:/run/x.sock", None, Some(Endpoint::Unix("/run/x.sock".into())));
        check("unix:///run/x.sock", None, Some(Endpoint::Unix("/run/x.sock".into())));
        check("unix:x.sock", None, None);
        check("tcp:proxy:2375", None, Some(tcp("proxy", 2375, None)));
        check("tcp://proxy:2375", None, Some(tcp("proxy", 2375, None)));
        check("tcp://proxy", None, Some(tcp("proxy", 2375, None)));
        check("tcp://proxy", Some("/certs"), Some(tcp("proxy", 2376, Some("/certs"))));
        check("tcp:[::1]:2375", None, Some(tcp("::1", 2375, None)));
        check("http://a:1/", None, Some(tcp("a", 1, None)));
        check("https://a:1", None, None);
        check("tcp:a:99999", None, None);
        check("tcp::1", None, None);
        check("ssh://a", None, None);
        check("docker", None, None);
        check("", None, None);
    }

    #[test]
    fn docker_host_comes_before_the_context_and_that_before_sockets() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let mut environment = Environment { runtime_dir: Some(folder.path().into()), ..Environment::default() };
        let find = |environment: &Environment| Endpoint::find("auto", None, environment);
        if !is_socket(Path::new("/var/run/docker.sock")) {
            assert_eq!(find(&environment), Ok(Endpoint::Unix(socket)));
        }
        let id = hex(digest::digest(&digest::SHA256, b"far").as_ref());
        let meta = folder.path().join("contexts/meta").join(&id);
        std::fs::create_dir_all(&meta).expect("a folder");
        let text = r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far:2376","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), text).expect("a file");
        std::fs::write(folder.path().join("config.json"), r#"{"auths":{},"currentContext":"far"}"#).expect("a file");
        environment.docker_config = Some(folder.path().into());
        assert_eq!(find(&environment), Ok(tcp("far", 2376, None)));
        environment.docker_context = Some("unknown".into());
        assert!(find(&environment).is_err());
        environment.docker_host = Some("tcp://near:1".into());
        assert_eq!(find(&environment), Ok(tcp("near", 1, None)));
        environment.tls_verify = true;
        environment.cert_path = Some("/certs".into());
        assert_eq!(find(&environment), Ok(tcp("near", 1, Some("/certs"))));
    }

    #[test]
    fn a_context_is_found_by_the_digest_of_its_name() {
        let id = hex(digest::digest(&digest::SHA256, b"desktop-linux").as_ref());
        assert_eq!(id, "fe9c6bd7a66301f49ca9b6a70b217107cd1284598bfc254700c989b916da791e");
    }
}
