//! Which single methods may be called, within the namespaces that are exposed.
//!
//! ```text
//!   deny   admin_addPeer, debug_*      ─▶ refused, whatever else is said
//!   allow  admin_*, net_version        ─▶ of the rest these; all of it if nothing is listed
//! ```
//!
//! Many subscriptions share one method: `foo_subscribe` with a name as its first argument. An entry
//! `foo_subscribe` is about all of them, `foo_subscribe:count` about one.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use super::RuleError;

/// Lists of methods that may and may not be called; the default refuses nothing.
///
/// It holds for single calls, calls in a batch and subscriptions, on whatever transport.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodFilter {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
}

impl MethodFilter {
    /// Refuses what `deny` lists and, unless `allow` is empty, what `allow` does not list.
    ///
    /// An entry is a whole method name, or the start of some with a `*` at its end. White space
    /// around an entry and empty entries are ignored. The lists are all there is: also
    /// `rpc_modules`, which clients of go-ethereum call first, must be listed to be allowed.
    ///
    /// # Errors
    ///
    /// [`RuleError::Method`] for an entry that matches no method: without namespace, with a `*`
    /// elsewhere, or with white space in it.
    pub fn new<A: AsRef<str>, D: AsRef<str>>(
        allow: impl IntoIterator<Item = A>,
        deny: impl IntoIterator<Item = D>,
    ) -> Result<Self, RuleError> {
        Ok(Self { allow: patterns(allow)?, deny: patterns(deny)? })
    }

    /// Whether the method may be called.
    ///
    /// A subscription is asked for with [`allows_subscription`](Self::allows_subscription) instead.
    /// Ending one is never subject to the allow list: who may begin may end.
    pub fn allows(&self, method: &str) -> bool {
        !any(&self.deny, method)
            && (self.allow.is_empty()
                || any(&self.allow, method)
                || method.ends_with(UNSUBSCRIBE_SUFFIX))
    }

    /// Whether `method`, which ends in `_subscribe`, may be called for the subscription `name`.
    pub fn allows_subscription(&self, method: &str, name: &str) -> bool {
        let one = format!("{method}{NAME_SEPARATOR}{name}");
        let listed = |list: &[Pattern]| any(list, method) || any(list, &one);
        !listed(&self.deny) && (self.allow.is_empty() || listed(&self.allow))
    }
}

/// A name, or the start of names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Whole(String),
    Start(String),
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Start(String::new()));
        }
        // A character that no name has would make an entry that matches nothing.
        let is_name = |name: &str| {
            name.find('_').is_some_and(|at| at > 0)
                && !name.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control())
        };
        let (name, pattern): (_, fn(String) -> Self) = match text.strip_suffix('*') {
            Some(start) => (start, Self::Start),
            None => (text, Self::Whole),
        };
        is_name(name).then(|| pattern(name.to_owned()))
    }

    fn matches(&self, method: &str) -> bool {
        match self {
            Self::Whole(name) => name == method,
            Self::Start(start) => method.starts_with(start.as_str()),
        }
    }
}

fn patterns<S: AsRef<str>>(list: impl IntoIterator<Item = S>) -> Result<Vec<Pattern>, RuleError> {
    let mut patterns = Vec::new();
    for entry in list {
        let entry = entry.as_ref().trim();
        if !entry.is_empty() {
            let pattern = Pattern::parse(entry);
            patterns.push(pattern.ok_or_else(|| RuleError::Method { got: entry.to_owned() })?);
        }
    }
    Ok(patterns)
}

fn any(list: &[Pattern], method: &str) -> bool {
    list.iter().any(|pattern| pattern.matches(method))
}

/// Between a method and the name of one subscription; no method name contains it.
const NAME_SEPARATOR: char = ':';

const UNSUBSCRIBE_SUFFIX: &str = "_unsubscribe";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(allow: &str, deny: &str) -> MethodFilter {
        MethodFilter::new(allow.split(','), deny.split(',')).unwrap()
    }

    #[test]
    fn a_method_may_be_called_if_it_is_allowed_and_not_denied() {
        for (allow, deny, method, expected) in [
            ("", "", "foo_bar", true),
            ("foo_bar", "", "foo_bar", true),
            ("foo_bar", "", "foo_bars", false),
            ("foo_bar", "", "foo_ba", false),
            ("foo_bar", "", "foo_Bar", false),
            ("foo_*", "", "foo_bar", true),
            ("foo_*", "", "foo_", true),
            ("foo_*", "", "foo", false),
            ("foo_*", "", "fool_bar", false),
            ("foo_get*", "", "foo_getBar", true),
            ("foo_get*", "", "foo_setBar", false),
            ("*", "", "anything", true),
            ("", "foo_bar", "foo_bar", false),
            ("", "foo_bar", "foo_other", true),
            ("", "foo_*", "foo_other", false),
            ("", "*", "foo_bar", false),
            ("foo_bar", "foo_bar", "foo_bar", false),
            ("foo_bar", "foo_*", "foo_bar", false),
            ("foo_*", "foo_bar", "foo_bar", false),
            ("foo_*", "foo_bar", "foo_other", true),
            ("*", "*", "foo_bar", false),
            (" a_b , ,foo_bar ", "", "foo_bar", true),
            ("foo_bar", "", "rpc_modules", false),
        ] {
            let allows = filter(allow, deny).allows(method);

            assert_eq!(allows, expected, "allow {allow:?} deny {deny:?}: {method}");
        }
    }

    #[test]
    fn one_subscription_can_be_denied_or_allowed_or_all_of_them() {
        for (allow, deny, name, expected) in [
            ("", "", "count", true),
            ("", "foo_subscribe:count", "count", false),
            ("", "foo_subscribe:count", "ticks", true),
            ("", "foo_subscribe", "count", false),
            ("", "foo_*", "count", false),
            ("", "foo_subscribe:*", "count", false),
            ("foo_subscribe", "", "count", true),
            ("foo_*", "", "count", true),
            ("foo_subscribe:count", "", "count", true),
            ("foo_subscribe:count", "", "ticks", false),
            ("foo_subscribe:count", "", "counter", false),
            ("foo_bar", "", "count", false),
            ("foo_subscribe", "foo_subscribe:count", "count", false),
            ("foo_subscribe", "foo_subscribe:count", "ticks", true),
            ("foo_subscribe:count", "foo_subscribe", "count", false),
            ("", "bar_subscribe:count", "count", true),
        ] {
            let allows = filter(allow, deny).allows_subscription("foo_subscribe", name);

            assert_eq!(allows, expected, "allow {allow:?} deny {deny:?}: {name}");
        }
    }

    #[test]
    fn who_may_begin_a_subscription_may_end_it() {
        assert!(filter("foo_subscribe:count", "").allows("foo_unsubscribe"));
        assert!(!filter("foo_bar", "foo_unsubscribe").allows("foo_unsubscribe"));
    }

    #[test]
    fn an_entry_that_matches_no_method_is_an_error() {
        for entry in ["foo", "foo*", "_bar", "_*", "*_bar", "foo_*_bar", "foo_**", "foo_b ar", "**"]
        {
            let expected = Err(RuleError::Method { got: entry.to_owned() });

            assert_eq!(MethodFilter::new([entry], [""]), expected);
            assert_eq!(MethodFilter::new([""], [entry]), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_denied_is_refused_whatever_is_allowed(
            allow in prop::collection::vec("[a-c]{1,2}_[a-c]{0,2}\\*?", 0..4),
            method in "[a-c]{1,2}_[a-c]{1,2}",
            kept in 0..6_usize,
        ) {
            let start: String = method.chars().take(kept).collect();
            let deny = if start.contains('_') { format!("{start}*") } else { method.clone() };

            let filter = MethodFilter::new(&allow, [deny]).unwrap();

            prop_assert!(!filter.allows(&method));
            prop_assert!(!filter.allows_subscription(&method, "x"));
        }
    }
}
