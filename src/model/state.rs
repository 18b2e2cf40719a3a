//! State that outlives the process, as rows: whoever owns the state says which row changed, and the
//! journal writes it down without knowing what it means.

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateTable {
    /// One alert of a rule.
    Alert,
    /// One rule group that has alerts: when it was evaluated last.
    RuleGroup,
    /// One group of notices: what its receivers were told.
    NoticeGroup,
    /// What the probes of one target spent, or of all of them.
    Spending,
}

impl StateTable {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Alert, Self::RuleGroup, Self::NoticeGroup, Self::Spending];

    /// The word for it on disk.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::RuleGroup => "rule_group",
            Self::NoticeGroup => "notice_group",
            Self::Spending => "spending",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str() == word)
    }
}

/// A row as it is from now on; a later one of the same table and key takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRow {
    /// What it is about.
    pub table: StateTable,
    /// Which of these.
    pub key: String,
    /// Its content, JSON; nothing where it is gone.
    pub value: Option<String>,
}

/// What the journal holds and how it does, as of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStanding {
    /// Notices and rollback calls that are not delivered yet.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
    /// What waits in memory for a disk that can be written.
    pub unwritten: u64,
    /// How often it could not be written so far.
    pub failures: u64,
}
