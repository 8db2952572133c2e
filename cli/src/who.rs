//! Who is at the keyboard, until identities come: the name that the machine knows.

/// The user's name on this machine.
pub fn me() -> Option<String> {
    ["TIDEMILL_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.trim().is_empty())
}
