//! Every key that a configuration may have.

use settings::Keys;

/// The sections with their keys. The first are the keys before any section.
pub(crate) const KEYS: Keys = Keys(&[
    (
        "",
        &[
            "name",
            "state_dir",
            "cluster",
            "listener",
            "tls",
            "access",
            "ports",
            "lease",
            "limits",
            "worker",
            "metrics",
            "stop",
            "log",
        ],
    ),
    ("cluster", &["name", "incarnation"]),
    ("listener", &["address", "tls"]),
    ("tls", &["certificate_file", "key_file", "client_ca_file"]),
    (
        "access",
        &[
            "node",
            "proof",
            "secret_file",
            "role",
            "register",
            "send",
            "query",
            "ports_max",
            "queue_len",
            "messages_per_s",
            "subscriptions_max",
            "waiting_max",
        ],
    ),
    ("ports", &["planned", "max", "shards"]),
    ("lease", &["lease_ms", "rho_ppm", "grace"]),
    (
        "limits",
        &[
            "connections",
            "connections_per_source",
            "sessions",
            "places",
            "items",
            "frame_len",
            "message_len",
            "partial_len",
            "partial_ms",
        ],
    ),
    ("worker", &["core", "count", "cores", "idle", "spin_us"]),
    ("metrics", &["address", "enabled"]),
    ("stop", &["timeout_ms", "hint"]),
    ("log", &["level", "format"]),
]);
