//! The configuration of each program: the nearest equivalent of evenkeel's defaults. A rate limit
//! that is enabled but never reached, retries, forwarding headers, a pool of idle connections, one
//! worker, no access log. No program is tuned beyond that.

use std::fs;

use crate::contenders::{ClientProtocol, Contender, Program, ProxyConfig, UpstreamProtocol};
use crate::error::MeasureError;

/// Writes the configuration files of a program and returns its command line.
pub(crate) fn command(
    contender: &Contender,
    config: &ProxyConfig,
) -> Result<Vec<String>, MeasureError> {
    let program = contender.binary.display().to_string();
    let write = |name: &str, text: String| -> Result<String, MeasureError> {
        let file = config.folder.join(name);
        fs::write(&file, text)?;
        Ok(file.display().to_string())
    };
    let arguments: Vec<String> = match contender.program {
        Program::Floor | Program::Direct => {
            let (listen, upstream) = (config.listen.to_string(), config.upstream.to_string());
            vec![
                "--role".into(),
                "floor".into(),
                "--listen".into(),
                listen,
                "--target".into(),
                upstream,
            ]
        }
        Program::Evenkeel | Program::Baseline => {
            vec!["run".into(), "-c".into(), write("evenkeel.yaml", evenkeel(config))?]
        }
        Program::Nginx => {
            vec!["-c".into(), write("nginx.conf", nginx(config)?)?, "-e".into(), "stderr".into()]
        }
        Program::Haproxy => {
            vec!["-db".into(), "-q".into(), "-f".into(), write("haproxy.cfg", haproxy(config))?]
        }
        Program::Envoy => {
            let file = write("envoy.yaml", envoy(config))?;
            let fixed = ["--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c"];
            fixed.into_iter().map(Into::into).chain([file]).collect()
        }
        Program::Traefik => {
            let routes = write("routes.yaml", traefik_routes(config))?;
            vec![format!("--configFile={}", write("traefik.yaml", traefik(config, &routes))?)]
        }
        Program::Caddy => {
            let file = write("Caddyfile", caddy(config))?;
            ["run", "--adapter", "caddyfile", "--config"]
                .into_iter()
                .map(Into::into)
                .chain([file])
                .collect()
        }
    };
    Ok([program].into_iter().chain(arguments).collect())
}

fn evenkeel(config: &ProxyConfig) -> String {
    let ProxyConfig { listen, admin, upstream, .. } = config;
    let authority = config.authority.display();
    let (scheme, protocol, tls) = match config.protocols.upstream {
        UpstreamProtocol::Http1 => ("http", "http1", String::new()),
        UpstreamProtocol::Tls => {
            ("https", "http1", format!("\n    tls: {{ ca: \"{authority}\" }}"))
        }
        UpstreamProtocol::Http2 => ("http", "http2", String::new()),
    };
    format!(
        "version: 1
listen: {{ address: \"{listen}\" }}
admin: {{ address: \"{admin}\" }}
upstreams:
  vendor:
    url: {scheme}://{upstream}
    route: /
    dialect: droplink
    protocol: {protocol}{tls}
    allowances:
      second: 1000000/s
      minute: 60000000/m
"
    )
}

fn nginx(config: &ProxyConfig) -> Result<String, MeasureError> {
    let (scheme, tls) = match config.protocols.upstream {
        UpstreamProtocol::Http1 => ("http", String::new()),
        UpstreamProtocol::Tls => (
            "https",
            format!(
                " proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_trusted_certificate {};",
                config.authority.display()
            ),
        ),
        UpstreamProtocol::Http2 => {
            return Err(MeasureError::new("nginx speaks no HTTP/2 to upstreams (before 1.29.4)"));
        }
    };
    let http2 = match config.protocols.client {
        ClientProtocol::Http1 => "",
        ClientProtocol::Http2 => " http2",
    };
    let (listen, upstream, folder) = (config.listen, config.upstream, config.folder.display());
    Ok(format!(
        "daemon off; master_process off; pid {folder}/pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  limit_req_zone $binary_remote_addr zone=far:1m rate=1000000r/s;
  upstream vendor {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen {listen}{http2};
    location / {{
      limit_req zone=far burst=100000 nodelay;
      proxy_pass {scheme}://vendor; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Request-Id $request_id;
      proxy_next_upstream error timeout http_503; proxy_next_upstream_tries 4;
      proxy_request_buffering off; proxy_max_temp_file_size 0;{tls}
    }}
  }}
}}
"
    ))
}

fn haproxy(config: &ProxyConfig) -> String {
    let authority = config.authority.display();
    let wire = match config.protocols.upstream {
        UpstreamProtocol::Http1 => String::new(),
        UpstreamProtocol::Tls => {
            format!(" ssl verify required sni str(localhost) alpn http/1.1 ca-file {authority}")
        }
        UpstreamProtocol::Http2 => " proto h2".into(),
    };
    let (listen, upstream) = (config.listen, config.upstream);
    format!(
        "global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 3s
  timeout client 300s
  timeout server 30s
  timeout http-keep-alive 300s
  http-reuse always
  retries 3
  retry-on conn-failure empty-response response-timeout 503
frontend front
  bind {listen}
  option forwardfor
  unique-id-format %{{+X}}o\\ %ci:%cp_%Ts_%rt
  unique-id-header X-Request-Id
  stick-table type ip size 100k expire 60s store http_req_rate(1s)
  http-request track-sc0 src
  http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 1000000000 }}
  default_backend vendor
backend vendor
  server one {upstream} pool-max-conn 256{wire}
"
    )
}

fn envoy(config: &ProxyConfig) -> String {
    let address = |address: std::net::SocketAddr| {
        format!(
            "{{ socket_address: {{ address: {}, port_value: {} }} }}",
            address.ip(),
            address.port()
        )
    };
    let (listen, upstream) = (address(config.listen), address(config.upstream));
    let wire = envoy_wire(config);
    const TYPE: &str = "type.googleapis.com/envoy.extensions";
    format!(
        "static_resources:
  listeners:
  - address: {listen}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          \"@type\": {TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          codec_type: AUTO
          use_remote_address: true
          http_filters:
          - name: limit
            typed_config:
              \"@type\": {TYPE}.filters.http.local_ratelimit.v3.LocalRateLimit
              stat_prefix: limit
              token_bucket: {{ max_tokens: 1000000000, tokens_per_fill: 1000000000, fill_interval: 1s }}
              filter_enabled: {{ default_value: {{ numerator: 100 }} }}
              filter_enforced: {{ default_value: {{ numerator: 100 }} }}
          - name: router
            typed_config: {{ \"@type\": {TYPE}.filters.http.router.v3.Router }}
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes:
              - match: {{ prefix: / }}
                route:
                  cluster: vendor
                  timeout: 30s
                  retry_policy: {{ retry_on: \"connect-failure,refused-stream,reset,retriable-status-codes\", retriable_status_codes: [503], num_retries: 3 }}
  clusters:
  - name: vendor
    type: STATIC
    connect_timeout: 3s
    circuit_breakers: {{ thresholds: [{{ max_connections: 4096, max_pending_requests: 4096, max_requests: 4096 }}] }}
    load_assignment: {{ cluster_name: vendor, endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {upstream} }} }}] }}] }}
{wire}"
    )
}

fn envoy_wire(config: &ProxyConfig) -> String {
    let authority = config.authority.display();
    const TYPE: &str = "type.googleapis.com/envoy.extensions";
    match config.protocols.upstream {
        UpstreamProtocol::Http1 => String::new(),
        UpstreamProtocol::Tls => format!(
            "    transport_socket:
      name: tls
      typed_config:
        \"@type\": {TYPE}.transport_sockets.tls.v3.UpstreamTlsContext
        sni: localhost
        common_tls_context: {{ validation_context: {{ trusted_ca: {{ filename: \"{authority}\" }} }} }}
"
        ),
        UpstreamProtocol::Http2 => format!(
            "    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": {TYPE}.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
"
        ),
    }
}

fn traefik(config: &ProxyConfig, routes: &str) -> String {
    let listen = config.listen;
    format!(
        "global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
log: {{ level: ERROR }}
entryPoints: {{ front: {{ address: \"{listen}\" }} }}
providers: {{ file: {{ filename: \"{routes}\", watch: false }} }}
"
    )
}

fn traefik_routes(config: &ProxyConfig) -> String {
    let (upstream, authority) = (config.upstream, config.authority.display());
    let scheme = match config.protocols.upstream {
        UpstreamProtocol::Http1 => "http",
        UpstreamProtocol::Tls => "https",
        UpstreamProtocol::Http2 => "h2c",
    };
    format!(
        "http:
  routers: {{ all: {{ rule: \"PathPrefix(`/`)\", service: vendor, middlewares: [limit, retry] }} }}
  middlewares:
    limit: {{ rateLimit: {{ average: 1000000000, burst: 1000000000 }} }}
    retry: {{ retry: {{ attempts: 4 }} }}
  services: {{ vendor: {{ loadBalancer: {{ serversTransport: kept, servers: [{{ url: \"{scheme}://{upstream}\" }}] }} }} }}
  serversTransports: {{ kept: {{ maxIdleConnsPerHost: 256, serverName: localhost, rootCAs: [\"{authority}\"] }} }}
"
    )
}

/// Without a rate limit, which Caddy has only as an extra module.
fn caddy(config: &ProxyConfig) -> String {
    let (listen, upstream, authority) =
        (config.listen, config.upstream, config.authority.display());
    let wire = match config.protocols.upstream {
        UpstreamProtocol::Http1 => String::new(),
        UpstreamProtocol::Tls => {
            format!("tls_server_name localhost\n      tls_trust_pool file {authority}")
        }
        UpstreamProtocol::Http2 => "versions h2c".into(),
    };
    format!(
        "{{
  admin off
  auto_https off
  persist_config off
  servers {{
    protocols h1 h2 h2c
  }}
}}
http://:{port} {{
  bind {ip}
  reverse_proxy {upstream} {{
    lb_retries 3
    transport http {{
      keepalive_idle_conns_per_host 256
      {wire}
    }}
  }}
}}
",
        port = listen.port(),
        ip = listen.ip(),
    )
}
