//! Keys that are promised and that this version does not honour. Whoever set one must not run without it.

use crate::env::{Later, Scope};

const fn global(name: &'static str) -> Later {
    Later { scope: Scope::Global, name }
}
const fn server(name: &'static str) -> Later {
    Later { scope: Scope::Server, name }
}
const fn site(name: &'static str) -> Later {
    Later { scope: Scope::Site, name }
}
const fn pair(name: &'static str) -> Later {
    Later { scope: Scope::Pair, name }
}

/// Every such key.
pub const KEYS: &[Later] = &[
    global("COMMAND_MODE"),
    global("COMMAND_{K}_MODE"),
    global("RECOVERY_COMMAND"),
    global("RECOVERY_SUCCESSES"),
    global("WITNESSES"),
    global("WITNESS_QUORUM"),
    global("TELEGRAM_ADMINS"),
    global("TELEGRAM_COMMANDS"),
    global("SLACK_WEBHOOK_URL"),
    global("WEBHOOK_URL"),
    global("WEBHOOK_TEMPLATE"),
    global("SMTP_URL"),
    global("EMAIL_FROM"),
    global("EMAIL_TO"),
    global("LISTEN"),
    global("API_TOKEN"),
    global("DISCOVERY_URL"),
    server("METHOD"),
    server("HEADERS"),
    server("BODY"),
    server("STATUS"),
    server("KEYWORD"),
    server("KEYWORD_ABSENT"),
    server("JSON"),
    server("TLS_DAYS"),
    server("NOTIFY"),
    server("ENVIRONMENT"),
    server("DEPENDS_ON"),
    site("WITNESSES"),
    site("COMMAND_MODE"),
    site("COMMAND_{K}_MODE"),
    pair("COMMAND_MODE"),
    pair("COMMAND_{K}_MODE"),
];
