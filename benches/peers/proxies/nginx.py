"""nginx. Keep-alive to targets, one worker a core, buffered log writes, streaming of request bodies, and buffers that hold
what is read at once: as the guides of its upstream, proxy and log modules say. Its open-source version has no active health
checks; passive ones are on."""

VERSION = ["nginx", "-v"]
ROUTES_MAX = 100_000

HTTP = """
daemon off; worker_processes {workers}; pid {folder}/{name}.pid; error_log {folder}/{name}.log warn;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
  sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_timeout 75s; keepalive_requests 100000000; server_tokens off;
  client_body_temp_path {folder}/{name}.body; proxy_temp_path {folder}/{name}.proxy;
  fastcgi_temp_path {folder}/{name}.fcgi; uwsgi_temp_path {folder}/{name}.uwsgi; scgi_temp_path {folder}/{name}.scgi;
"""

PROXY = """
  log_format json escape=json '{{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
    '"scheme":"$scheme","host":"$host","path":"$uri","protocol":"$server_protocol","status":$status,'
    '"bytes_in":$request_length,"bytes_out":$bytes_sent,"duration":$request_time,"upstream":"$upstream_addr",'
    '"upstream_time":"$upstream_response_time","request_id":"$request_id"}}';
  access_log {log} json buffer=64k flush=1s;
  client_header_timeout 10s; client_body_timeout 60s; send_timeout 60s; client_max_body_size 64m;
  client_body_buffer_size 256k;
  large_client_header_buffers 4 8k;
  proxy_connect_timeout 5s; proxy_read_timeout 60s; proxy_send_timeout 60s; proxy_next_upstream_tries 3;
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
  proxy_request_buffering off; proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 128k;
  proxy_max_temp_file_size 0;
  ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:tls:10m; ssl_session_tickets on; http2_max_concurrent_streams 128;
  server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
  upstream origin {{ {balance} {targets} keepalive {keepalive}; keepalive_requests 100000000; keepalive_timeout 60s; }}
"""

LISTEN = """
    listen 127.0.0.1:{http}{options}; listen 127.0.0.1:{https} ssl http2{options};
"""


def command(place) -> list[str]:
    setup = place.setup
    targets = "".join(f"server 127.0.0.1:{port} max_fails=3 fail_timeout=10s;" for port in setup.targets)
    values = {"name": place.name, "folder": place.folder, "workers": setup.workers, "log": place.log, "targets": targets,
              "balance": "least_conn;" if setup.least_connections else "", "keepalive": max(64, 4 * len(setup.targets))}
    text = (HTTP + PROXY).format(**values) + "".join(servers(place)) + "}\n"
    return ["nginx", "-c", place.write("conf", text)]


def servers(place):
    """One a host, and in each a location a prefix. The sockets' options stand in the first."""
    prefixes: dict[str, list[str]] = {}
    for host, prefix in place.setup.routes or [("", "/")]:
        prefixes.setdefault(host, []).append(prefix)
    options = " backlog=4096" + (" reuseport" if place.setup.workers > 1 else "")
    for host, paths in prefixes.items():
        listen = LISTEN.format(http=place.http, https=place.https, options=options)
        options = ""
        locations = "".join(f"location {path} {{ proxy_pass http://origin; }}\n" for path in paths)
        yield f"server {{ {listen} server_name {host or '_'};\n{locations} }}\n"
