-- Nothing but loopback, no server to server, everything under /mnt.
run_as_root = true
pidfile = "/mnt/prosody.pid"
data_path = "/mnt/data"
plugin_paths = { "/mnt/modules" }
certificates = "/mnt/tls"
daemonize = false
log = { { levels = { min = "debug" }, to = "console" } }
interfaces = { "127.0.0.1" }
c2s_ports = { @STARTTLS@ }
c2s_direct_tls_ports = { @DIRECT@ }
s2s_ports = {}
http_ports = {}
https_ports = { @HTTPS@ }
https_interfaces = { "127.0.0.1" }
https_ssl = {
    certificate = "/mnt/tls/web.crt", key = "/mnt/tls/web.key",
    protocol = "tlsv1_2+", verify = { "none" },
}
network_backend = "epoll"
modules_enabled = {
    "roster", "saslauth", "tls", "disco", "ping", "smacks", "presence", "message", "iq", "offline",
    "groups", "limits"
}
modules_disabled = { "s2s", "s2s_auth_certs", "posix" }
limits = {}
authentication = "internal_hashed"
password_hash = "@HASH@"
storage = "internal"
groups_file = "/mnt/groups.txt"
c2s_require_encryption = @REQUIRE@
c2s_timeout = 60
smacks_hibernation_time = @HIBERNATION@
ssl = {
    certificate = "/mnt/tls/server.crt",
    key = "/mnt/tls/server.key",
    cafile = "/mnt/tls/ca.crt",
    protocol = "@PROTOCOL@",
    ciphers = "@CIPHERS@",
    verify = { "@VERIFY@" },
    verifyext = {},
}
c2s_direct_tls_ssl = ssl

VirtualHost "@DOMAIN@"
    ssl = ssl
@AUTHENTICATION@
Component "files.@DOMAIN@" "http_file_share"
    http_host = "localhost"
    http_external_url = "https://localhost:@HTTPS@/"
    http_file_share_size_limit = 300000

Component "@ROOMS@" "muc"
    restrict_room_creation = false
