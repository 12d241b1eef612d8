//! Which namespaces a caller sees, and by which way in.
//!
//! ```text
//!                        net, web3     admin (not listed)     engine (authenticated)
//!   in process, IPC      yes           yes, all are           yes
//!   HTTP, WebSocket      yes           no                     no, listed or not
//!   with a token         if listed     no                     if listed
//! ```
//!
//! `rpc`, which only tells what there is, is always there.

/// The namespaces that an endpoint exposes, `net` and `web3` by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modules {
    all: bool,
    /// As the operator wrote them, each once.
    names: Vec<String>,
}

impl Modules {
    /// Every namespace that there is.
    pub const fn all() -> Self {
        Self { all: true, names: Vec::new() }
    }

    /// These namespaces; `*` among them means all.
    ///
    /// White space around a name and empty names are ignored. An empty list exposes nothing but
    /// `rpc`; in go-ethereum it exposes everything.
    pub fn only<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut modules = Self { all: false, names: Vec::new() };
        for name in names {
            match name.as_ref().trim() {
                "" => {}
                "*" => modules.all = true,
                name if modules.names.iter().any(|known| known == name) => {}
                name => modules.names.push(name.to_owned()),
            }
        }
        modules
    }

    /// Whether the namespace is exposed. Case matters, as it does in method names.
    pub fn allows(&self, namespace: &str) -> bool {
        self.all || namespace == ALWAYS || self.names.iter().any(|name| name == namespace)
    }

    /// The listed names that are none of the `available` namespaces.
    ///
    /// That is for the log at start: a service that is not running is no reason to fail.
    pub fn unknown<S: AsRef<str>>(&self, available: impl IntoIterator<Item = S>) -> Vec<String> {
        let mut unknown = self.names.clone();
        unknown.retain(|name| name != ALWAYS);
        for namespace in available {
            unknown.retain(|name| name != namespace.as_ref());
        }
        unknown
    }
}

impl Default for Modules {
    fn default() -> Self {
        Self::only(["net", "web3"])
    }
}

/// By which way a caller comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Entrance {
    /// From this process, or through the IPC socket, whose file says who may open it.
    Local,
    /// Over HTTP or WebSocket, from anyone who can reach the port.
    Open,
    /// Over HTTP or WebSocket, with a token that [`JwtSecret::verify`](super::JwtSecret::verify)
    /// accepted.
    Token,
}

impl Entrance {
    /// Whether a namespace can be reached this way, given whether it is marked as authenticated.
    ///
    /// [`Modules`] must allow it as well; listing an authenticated namespace does not open it.
    pub const fn reaches(self, authenticated: bool) -> bool {
        match self {
            Self::Local | Self::Token => true,
            Self::Open => !authenticated,
        }
    }
}

const ALWAYS: &str = "rpc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_namespaces_are_exposed() {
        let modules = Modules::only(["net", " web3 ", "net"]);

        for (namespace, expected) in [
            ("net", true),
            ("web3", true),
            ("rpc", true),
            ("admin", false),
            ("Net", false),
            ("", false),
        ] {
            assert_eq!(modules.allows(namespace), expected, "{namespace}");
        }
        assert_eq!(modules, Modules::default());
    }

    #[test]
    fn an_empty_list_exposes_nothing_but_rpc() {
        for modules in [Modules::only::<&str>([]), Modules::only(["", " "])] {
            assert!(modules.allows("rpc"));
            assert!(!modules.allows("net"));
            assert!(!modules.allows("*"));
        }
    }

    #[test]
    fn a_star_exposes_everything() {
        for modules in [Modules::all(), Modules::only(["net", "*"])] {
            assert!(modules.allows("admin"));
        }
        assert!(!Modules::only(["*x", "a*"]).allows("admin"), "only a star on its own is one");
    }

    #[test]
    fn listed_names_that_do_not_exist_are_reported_in_their_order() {
        let modules = Modules::only(["web3", "rpc", "pss", "net", "bzz", "pss"]);

        assert_eq!(modules.unknown(["net", "web3", "admin"]), ["pss", "bzz"]);
        assert!(Modules::all().unknown::<&str>([]).is_empty());
    }

    #[test]
    fn an_authenticated_namespace_needs_a_token_or_the_machine() {
        for (entrance, authenticated, expected) in [
            (Entrance::Local, false, true),
            (Entrance::Local, true, true),
            (Entrance::Open, false, true),
            (Entrance::Open, true, false),
            (Entrance::Token, false, true),
            (Entrance::Token, true, true),
        ] {
            assert_eq!(entrance.reaches(authenticated), expected, "{entrance:?} {authenticated}");
        }
    }
}
