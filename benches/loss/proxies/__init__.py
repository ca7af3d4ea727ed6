"""The proxies that are compared: a module each with a class `Proxy`, and a line in PROXIES. Each is configured as its own
documentation says for targets that come and go by the names of Docker's DNS; each module says what, and why."""

from . import caddy, envoy, haproxy, nginx, nginx_reload, plimsoll

PROXIES = {
    "plimsoll": plimsoll.Proxy,
    "nginx": nginx.Proxy,
    "nginx-reload": nginx_reload.Proxy,
    "haproxy": haproxy.Proxy,
    "envoy": envoy.Proxy,
    "caddy": caddy.Proxy,
}
FIRST_PORT = 18000
