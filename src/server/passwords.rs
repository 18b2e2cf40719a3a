//! Whether a password is a user's.
//!
//! bcrypt takes a tenth of a second on purpose, so it runs beside the tasks and one at a time: a
//! flood of wrong passwords costs one core and no more. What was right once is remembered by a
//! keyed digest of user, hash and password, so that a scrape every few seconds costs nothing and
//! goes through during such a flood; a changed hash in the file changes the digest.
//!
//! An unknown user costs what the costliest known one does, so that answers do not tell names.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::access::PasswordHash;

/// More than the users and programs that talk to one bellwether.
const REMEMBERED_MAX: usize = 100;

/// What was right lately.
#[derive(Debug)]
pub(super) struct Passwords {
    salt: [u8; 32],
    /// Digests, the latest used last. Locked for a look and never across a wait: a message to a
    /// task would cost every request more than the look.
    right: Mutex<VecDeque<[u8; 32]>>,
    turn: Semaphore,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { salt: rand::random(), right: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// Whether a user has this password.
    pub(super) async fn are_right(
        &self,
        users: &BTreeMap<String, PasswordHash>,
        user: &str,
        password: &str,
    ) -> bool {
        let is_known = users.contains_key(user);
        let costliest = || users.values().max_by_key(|hash| hash.cost());
        let Some(hash) = users.get(user).or_else(costliest) else { return false };
        let digest = self.digest(user, hash, password);
        if is_known && self.remembers(&digest) {
            return true;
        }
        let Ok(_turn) = self.turn.acquire().await else { return false };
        // Perhaps another connection of the same client was before.
        if is_known && self.remembers(&digest) {
            return true;
        }
        let (hash, password) = (hash.expose().to_owned(), password.to_owned());
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
        let is_right = matches!(checked.await, Ok(Ok(true))) && is_known;
        if is_right {
            self.remember(digest);
        }
        is_right
    }

    fn digest(&self, user: &str, hash: &PasswordHash, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.salt);
        for part in [user, hash.expose(), password] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(position) = right.iter().position(|known| known == digest) else { return false };
        right.remove(position).into_iter().for_each(|known| right.push_back(known));
        true
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED_MAX {
            right.pop_front();
        }
        right.push_back(digest);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    // Published with OpenBSD's bcrypt and in its ports: the password is `U*U`, the cost 5.
    const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    fn users(hash: &str) -> BTreeMap<String, PasswordHash> {
        [("alice".to_owned(), PasswordHash::parse(hash).unwrap())].into()
    }

    #[tokio::test]
    async fn only_the_users_own_password_is_right() {
        let (passwords, users) = (Passwords::new(), users(HASH));
        for (user, password, expected) in [
            ("alice", "U*U", true),
            ("alice", "U*U", true),
            ("alice", "U*U*", false),
            ("alice", "", false),
            ("bob", "U*U", false),
            ("", "", false),
        ] {
            assert_eq!(passwords.are_right(&users, user, password).await, expected, "{user}");
        }
        assert!(!passwords.are_right(&BTreeMap::new(), "alice", "U*U").await);
    }

    #[tokio::test]
    async fn what_was_right_is_forgotten_when_the_hash_changes() {
        let passwords = Passwords::new();
        assert!(passwords.are_right(&users(HASH), "alice", "U*U").await);
        // The same vectors: `U*U*`.
        let other = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK";
        assert!(!passwords.are_right(&users(other), "alice", "U*U").await);
        assert!(passwords.are_right(&users(other), "alice", "U*U*").await);
    }

    #[tokio::test]
    async fn a_wrong_user_costs_what_a_wrong_password_costs_and_a_known_one_nothing() {
        // Cost 10 is 32 times cost 5: far more than any pause of this machine is likely to hide.
        let hash = HASH.replace("$05$", "$10$");
        let mut users = users(&hash);
        users.insert("quick".to_owned(), PasswordHash::parse(HASH).unwrap());
        let passwords = Passwords::new();
        let mut took = Vec::new();
        for (user, password) in
            [("alice", "x"), ("nobody", "x"), ("quick", "U*U"), ("quick", "U*U")]
        {
            let start = Instant::now();
            passwords.are_right(&users, user, password).await;
            took.push(start.elapsed());
        }
        assert!(took[1] * 4 > took[0] && took[0] * 4 > took[1], "{took:?}");
        assert!(took[3] * 2 < took[2], "{took:?}");
    }
}
