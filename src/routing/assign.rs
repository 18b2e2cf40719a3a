//! Which arm serves a request.
//!
//! A client's key is hashed together with the route and the release, and the hash falls somewhere on
//! a line of which the candidate takes the lower end. So a client stays where it is (sticky), whoever
//! is in at 5 % stays in at 10 % (monotone), and the share is exact up to chance. A request that tells
//! nothing of its client goes by a number that is drawn for it.
//!
//! Awkward cases: a pin beats a tester's wish, since who pins a tenant means it. A wish for an arm
//! without targets is a wish for stable. Whoever continues a response stays with the target that made
//! it, whatever the share has become, but for a candidate that has been rolled back. The key is hashed
//! and kept nowhere.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Arms, KeySource, Pin, Route};
use crate::model::TargetId;

/// One of the two sides of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arm {
    /// What serves by default, and what a rollback returns to.
    Stable,
    /// What is being released.
    Candidate,
}

impl Arm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stable, Self::Candidate];

    /// The value of the label `arm` and of the header `x-bellwether-arm`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
        }
    }

    /// The arm of a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arm| arm.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a request tells that matters for its arm.
#[derive(Clone, Copy, Default)]
pub struct Asking<'a> {
    /// The name of the client's key, where clients have keys.
    pub client: Option<&'a str>,
    /// What tells the client apart (see [`assignment_key`]).
    pub key: Option<&'a [u8]>,
    /// The arm that a tester asks for; of anybody else, nothing.
    pub wish: Option<Arm>,
    /// Who made the response that it continues, where that is known.
    pub maker: Option<&'a TargetId>,
}

/// Why a request goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is pinned.
    Pinned,
    /// A tester asked for it.
    Wished,
    /// What it continues was made there.
    Continued,
    /// By the hash of its key.
    Hashed,
    /// By the number drawn for it.
    Drawn,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The arm.
    pub arm: Arm,
    /// Why.
    pub reason: Reason,
    /// Spread evenly: picks the target within the arm, the same one for the same client.
    pub spread: u64,
}

/// Picks the arm. `header` gives a request's header by its lower-case name; `drawn` is any number.
pub fn assign<'h>(
    route: &Route,
    arms: &Arms,
    asking: Asking<'_>,
    header: impl Fn(&str) -> Option<&'h str>,
    drawn: u64,
) -> Assignment {
    let (place, spread, by_chance) = match asking.key {
        Some(key) => {
            let (place, spread) = hashed(route, arms, key);
            (place, spread, Reason::Hashed)
        }
        // The lower half of the number picks the target, so that it says nothing of the arm.
        None => (drawn, drawn.rotate_left(32), Reason::Drawn),
    };
    let at = |arm, reason| Assignment { arm, reason, spread };
    if route.pins.iter().any(|pin| is_pinned(pin, asking, &header)) {
        return at(Arm::Stable, Reason::Pinned);
    }
    let made_by = asking.maker.and_then(|maker| arms.serving(maker));
    match (asking.wish, made_by) {
        (Some(Arm::Candidate), _) if arms.candidate.is_empty() => at(Arm::Stable, Reason::Wished),
        (Some(arm), _) => at(arm, Reason::Wished),
        (None, Some(arm)) => at(arm, Reason::Continued),
        (None, None) if !arms.candidate.is_empty() && arms.share.takes(place) => {
            at(Arm::Candidate, by_chance)
        }
        (None, None) => at(Arm::Stable, by_chance),
    }
}

/// What tells the client apart: the first source that the request has, with the name of the source
/// before it, so that a user `7` and a header `7` are two.
pub fn assignment_key<'a>(
    route: &Route,
    find: impl Fn(&KeySource) -> Option<&'a [u8]>,
) -> Option<Vec<u8>> {
    route.keys.iter().find_map(|source| {
        let value = find(source).filter(|value| !value.is_empty())?;
        let name = match source {
            KeySource::Header(name) => name.as_str(),
            KeySource::User => "user",
            KeySource::MetadataUserId => "metadata.user_id",
            KeySource::ApiKey => "api_key",
            KeySource::Conversation => "conversation",
        };
        Some([name.as_bytes(), b"\0", value].concat())
    })
}

fn is_pinned<'h>(pin: &Pin, asking: Asking<'_>, header: &impl Fn(&str) -> Option<&'h str>) -> bool {
    match pin {
        Pin::Client(name) => asking.client == Some(name.as_str()),
        Pin::Header { name, value: Some(value) } => header(name) == Some(value.as_str()),
        Pin::Header { name, value: None } => header(name).is_some(),
        Pin::Key(value) => asking.key.is_some_and(|key| {
            let at = key.iter().position(|byte| *byte == 0).map_or(0, |at| at + 1);
            &key[at..] == value.as_bytes()
        }),
    }
}

/// Two numbers that are spread evenly and independently: where on the line, and which target.
fn hashed(route: &Route, arms: &Arms, key: &[u8]) -> (u64, u64) {
    let mut hash = Sha256::new();
    for part in [route.id.as_str().as_bytes(), arms.salt.as_bytes()] {
        hash.update(part);
        hash.update(b"\0");
    }
    hash.update(key);
    let digest = hash.finalize();
    let number = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[from..from + 8]);
        u64::from_be_bytes(bytes)
    };
    (number(0), number(8))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::{Credentials, Retries, Share, TIMEOUTS, Tell};
    use super::*;
    use crate::model::{RouteId, TargetId};

    pub(in super::super) fn route(name: &str) -> Route {
        Route {
            id: RouteId::new(name),
            models: vec![name.to_owned()],
            stable: vec![TargetId::new("old")],
            keys: vec![KeySource::Header("x-user".to_owned()), KeySource::User],
            testers: ["qa".to_owned()].into(),
            pins: Vec::new(),
            retries: Retries::default(),
            timeouts: TIMEOUTS,
            in_flight_max: None,
            body_bytes_max: 1 << 20,
            tells: [Tell::Arm].into(),
            credentials: Credentials::Ours,
            strictness: crate::provider::translate::Strictness::Strict,
            mirror: None,
        }
    }

    fn arms(points: u32) -> Arms {
        Arms {
            stable: vec![TargetId::new("old")],
            candidate: vec![TargetId::new("new")],
            share: Share::from_basis_points(points).unwrap(),
            salt: "release 1".to_owned(),
        }
    }

    fn arm_of(key: &str, points: u32) -> Arm {
        let asking = Asking { key: Some(key.as_bytes()), ..Asking::default() };
        assign(&route("chat"), &arms(points), asking, |_| None, 0).arm
    }

    #[test]
    fn the_hash_is_that_of_sha_256() {
        // printf 'chat\0release 1\0alice' | sha256sum begins 13ad1f7f6e3c867f: 7.686 % of the line.
        let asking = Asking { key: Some(b"alice"), ..Asking::default() };
        let place = |points| assign(&route("chat"), &arms(points), asking, |_| None, 0).arm;
        assert_eq!((place(768), place(769)), (Arm::Stable, Arm::Candidate));
    }

    #[test]
    fn a_pin_beats_a_wish_and_a_wish_beats_chance() {
        let mut pinned = route("chat");
        pinned.pins = vec![
            Pin::Client("bank".to_owned()),
            Pin::Header { name: "x-tier".to_owned(), value: Some("gold".to_owned()) },
            Pin::Header { name: "x-safe".to_owned(), value: None },
            Pin::Key("tenant-7".to_owned()),
        ];
        let none = Asking::default();
        let wish = Asking { wish: Some(Arm::Candidate), ..none };
        let header = |name: &str| match name {
            "x-tier" => Some("gold"),
            _ => None,
        };
        let safe = |name: &str| (name == "x-safe").then_some("");
        let nothing = |_: &str| None;
        let all = arms(10_000);
        let got = |asking, header: &dyn Fn(&str) -> Option<&'static str>| {
            let assignment = assign(&pinned, &all, asking, header, 0);
            (assignment.arm, assignment.reason)
        };
        let stable = (Arm::Stable, Reason::Pinned);
        assert_eq!(got(Asking { client: Some("bank"), ..wish }, &nothing), stable);
        assert_eq!(got(wish, &header), stable);
        assert_eq!(got(none, &safe), stable);
        assert_eq!(got(Asking { key: Some(b"user\0tenant-7"), ..none }, &nothing), stable);
        assert_eq!(
            got(Asking { key: Some(b"user\0tenant-70"), ..none }, &nothing),
            (Arm::Candidate, Reason::Hashed)
        );
        assert_eq!(got(none, &nothing), (Arm::Candidate, Reason::Drawn));
        let stable_wish = Asking { wish: Some(Arm::Stable), ..none };
        assert_eq!(got(stable_wish, &nothing), (Arm::Stable, Reason::Wished));
    }

    #[test]
    fn whoever_continues_stays_with_the_maker_while_that_serves() {
        let (old, new, gone) = (TargetId::new("old"), TargetId::new("new"), TargetId::new("gone"));
        let got = |maker, points, wish| {
            let asking = Asking { maker: Some(maker), wish, ..Asking::default() };
            let assignment = assign(&route("chat"), &arms(points), asking, |_| None, 0);
            (assignment.arm, assignment.reason)
        };
        let (stable, candidate) = (Arm::Stable, Arm::Candidate);
        // A drawn 0 is the candidate's wherever it has a share.
        assert_eq!(got(&old, 10_000, None), (stable, Reason::Continued));
        assert_eq!(got(&new, 1, None), (candidate, Reason::Continued));
        assert_eq!(got(&new, 0, None), (stable, Reason::Drawn), "it was rolled back");
        assert_eq!(got(&gone, 1, None), (candidate, Reason::Drawn));
        assert_eq!(got(&new, 1, Some(stable)), (stable, Reason::Wished));
        let mut pinned = route("chat");
        pinned.pins = vec![Pin::Client("bank".to_owned())];
        let asking = Asking { client: Some("bank"), maker: Some(&new), ..Asking::default() };
        let assignment = assign(&pinned, &arms(1), asking, |_| None, 0);
        assert_eq!((assignment.arm, assignment.reason), (stable, Reason::Pinned));
    }

    #[test]
    fn nobody_goes_to_an_arm_without_targets() {
        let empty = Arms { candidate: Vec::new(), ..arms(10_000) };
        for wish in [None, Some(Arm::Candidate)] {
            let asking = Asking { wish, ..Asking::default() };
            assert_eq!(assign(&route("chat"), &empty, asking, |_| None, 0).arm, Arm::Stable);
        }
    }

    #[test]
    fn the_first_source_that_a_request_has_tells_clients_apart() {
        let find = |user: Option<&'static [u8]>, header: Option<&'static [u8]>| {
            assignment_key(&route("chat"), |source| match source {
                KeySource::Header(_) => header,
                KeySource::User => user,
                _ => None,
            })
        };
        assert_eq!(find(Some(b"7"), Some(b"9")).unwrap(), b"x-user\x009");
        assert_eq!(find(Some(b"7"), Some(b"")).unwrap(), b"user\x007");
        assert_eq!(find(None, None), None);
    }

    #[test]
    fn another_release_draws_other_clients() {
        let (first, mut second) = (arms(1_000), arms(1_000));
        second.salt = "release 2".to_owned();
        let chosen = |arms: &Arms| -> Vec<u32> {
            (0..1_000_u32)
                .filter(|user| {
                    let key = user.to_string();
                    let asking = Asking { key: Some(key.as_bytes()), ..Asking::default() };
                    assign(&route("chat"), arms, asking, |_| None, 0).arm == Arm::Candidate
                })
                .collect()
        };
        let (first, second) = (chosen(&first), chosen(&second));
        let both = first.iter().filter(|user| second.contains(user)).count();
        // Independent draws share 10 of 1,000; thirty would be six deviations off.
        assert!(both < 30, "{both} of {} and {}", first.len(), second.len());
    }

    /// Six standard deviations: a right split fails once in 500 million draws.
    fn within_bounds(count: u32, of: u32, share: f64) -> bool {
        let expected = f64::from(of) * share;
        let deviation = (expected * (1.0 - share)).sqrt();
        (f64::from(count) - expected).abs() <= 6.0 * deviation.max(1.0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn who_is_in_stays_in_as_the_share_grows(key in ".{1,40}", points in 0_u32..=10_000) {
            if arm_of(&key, points) == Arm::Candidate {
                for more in [points, points.midpoint(10_000), 10_000] {
                    prop_assert_eq!(arm_of(&key, more), Arm::Candidate);
                }
            } else {
                for less in [0, points / 2, points] {
                    prop_assert_eq!(arm_of(&key, less), Arm::Stable);
                }
            }
        }

        #[test]
        fn the_share_of_keys_is_within_binomial_bounds(points in 0_u32..=10_000, seed: u64) {
            let count = (0..4_000_u32)
                .filter(|user| arm_of(&format!("{seed}/{user}"), points) == Arm::Candidate)
                .count();
            let share = f64::from(points) / 10_000.0;
            prop_assert!(within_bounds(u32::try_from(count).unwrap(), 4_000, share), "{count}");
        }

        #[test]
        fn the_share_of_drawn_numbers_is_within_binomial_bounds(
            points in 0_u32..=10_000,
            drawn in proptest::collection::vec(any::<u64>(), 2_000),
        ) {
            let arms = arms(points);
            let count = drawn.iter().filter(|drawn| {
                let asking = Asking::default();
                assign(&route("chat"), &arms, asking, |_| None, **drawn).arm == Arm::Candidate
            });
            let count = u32::try_from(count.count()).unwrap();
            prop_assert!(within_bounds(count, 2_000, f64::from(points) / 10_000.0), "{count}");
        }
    }
}
