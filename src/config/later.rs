//! Keys that are promised and that this version does not honour. Whoever set one must not run without it.

use crate::env::{Later, Scope};

const fn global(name: &'static str) -> Later {
    Later { scope: Scope::Global, name }
}

/// Every such key.
pub const KEYS: &[Later] = &[
    global("TELEGRAM_ADMINS"),
    global("TELEGRAM_COMMANDS"),
    global("SLACK_WEBHOOK_URL"),
    global("WEBHOOK_URL"),
    global("WEBHOOK_TEMPLATE"),
    global("SMTP_URL"),
    global("EMAIL_FROM"),
    global("EMAIL_TO"),
];
