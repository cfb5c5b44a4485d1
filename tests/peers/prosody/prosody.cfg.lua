-- Nothing but loopback, no server to server, everything under /mnt.
run_as_root = true
pidfile = "/mnt/prosody.pid"
data_path = "/mnt/data"
certificates = "/mnt/tls"
daemonize = false
log = { { levels = { min = "debug" }, to = "console" } }
interfaces = { "127.0.0.1" }
c2s_ports = { @STARTTLS@ }
c2s_direct_tls_ports = { @DIRECT@ }
s2s_ports = {}
http_ports = {}
https_ports = {}
network_backend = "epoll"
modules_enabled = {
    "roster", "saslauth", "tls", "disco", "ping", "smacks", "presence", "message", "iq", "offline",
    "groups", "limits"
}
modules_disabled = { "s2s", "s2s_auth_certs", "posix", "http" }
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
    verify = { "none" },
    verifyext = {},
}
c2s_direct_tls_ssl = ssl

VirtualHost "@DOMAIN@"
    ssl = ssl

Component "@ROOMS@" "muc"
    restrict_room_creation = false
