//! `rlpx_frames.json`, `capability_matching`: which protocols run, and where their codes lie.

use p2p_server::{Capability, vector_hooks::match_capabilities};
use serde::Deserialize;

use super::{NamedVersion, load};

#[test]
fn protocols_are_matched_and_laid_out_as_recorded() {
    for case in load::<File>("rlpx_frames.json").capability_matching {
        let mut remote: Vec<_> = case.remote_caps.iter().filter_map(NamedVersion::valid).collect();
        let local: Vec<_> = case.local_protocols.iter().map(Local::offer).collect();
        let want: Vec<_> =
            case.matched.iter().map(|m| (m.what.valid().unwrap(), m.offset)).collect();

        let got = match_capabilities(&remote, &local).unwrap();
        remote.reverse();
        let of_reversed = match_capabilities(&remote, &local).unwrap();

        assert_eq!(got, want, "{remote:?} with {local:?}");
        assert_eq!(of_reversed, want, "the order of the hello counts for nothing");
        assert_eq!(!got.is_empty(), case.any_match);
    }
}

#[derive(Deserialize)]
struct File {
    capability_matching: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    remote_caps: Vec<NamedVersion>,
    local_protocols: Vec<Local>,
    matched: Vec<Matched>,
    any_match: bool,
}

#[derive(Deserialize)]
struct Local {
    #[serde(flatten)]
    what: NamedVersion,
    length: u64,
}

impl Local {
    fn offer(&self) -> (Capability, u64) {
        (self.what.valid().unwrap(), self.length)
    }
}

#[derive(Deserialize)]
struct Matched {
    #[serde(flatten)]
    what: NamedVersion,
    offset: u64,
}
