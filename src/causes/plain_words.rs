//! The words by which plain English says that something is absent, refused, full or busy.
//!
//! Word lists only: what they mean of which thing, and when, is said by `plain` and `plain_limits`.

/// Something is not there.
pub(super) const ABSENT: &[&str] = &[
    "not found",
    "notfound",
    "not exist",
    "doesn't exist",
    "no such",
    "could not find",
    "couldn't find",
    "cannot find",
    "can't find",
    "unable to find",
    "failed to find",
    "cannot be found",
    "could not be found",
    "can't be found",
    "no longer exists",
    "has been deleted",
    "was deleted",
    "not known",
    "unknown",
    "not registered",
    "is not added",
    "cannot locate",
    "unable to locate",
    "could not locate",
    "failed to locate",
];

/// Something that must be given was not, or makes no sense.
pub(super) const NOT_GIVEN: &[&str] = &[
    "missing",
    "is empty",
    "are empty",
    "was empty",
    "cannot be empty",
    "can't be empty",
    "must not be empty",
    "not provided",
    "not specified",
    "not set",
    "is not set",
    "not given",
    "not supplied",
    "must be provided",
    "must be specified",
    "must be set",
    "is required",
    "are required",
    "not configured",
    "not present",
    "not contain",
    "doesn't contain",
    "lacks",
    "lack of",
    "no secret",
    "have been provided",
    "is nil",
    "not valid",
    "invalid",
    "malformed",
];

/// Something cannot be done here at all.
pub(super) const UNSUPPORTED: &[&str] = &[
    "not supported",
    "unsupported",
    "not support",
    "doesn't support",
    "not implemented",
    "not allowed",
    "not permitted for",
    "not possible",
    "not available for",
    "cannot be used",
    "only supports",
    "only support",
];

/// Something is held by a user.
pub(super) const HELD: &[&str] = &[
    "in use",
    "in-use",
    "being used",
    "is used by",
    "busy",
    "is mounted",
    "still mounted",
    "is attached",
    "still attached",
    "is open",
    "held open",
    "has dependents",
    "has children",
    "is locked",
];

/// There is no more of something.
pub(super) const NO_MORE: &[&str] = &[
    "not enough",
    "insufficient",
    "no space",
    "no free",
    "out of space",
    "exhausted",
    "is full",
    "no capacity",
    "exceeds the free",
    "exceeds available",
    "lack of space",
    "too little",
    "no more space",
    "ran out of",
    "cannot satisfy",
];

/// A limit that somebody set is reached.
pub(super) const LIMITED: &[&str] = &[
    "limit",
    "quota",
    "maximum number",
    "max number",
    "too many",
    "exceeds the maximum number",
    "at most",
    "no more than",
];

/// A size that is not taken.
pub(super) const UNFIT: &[&str] = &[
    "invalid",
    "not valid",
    "too small",
    "too large",
    "too big",
    "smaller than",
    "larger than",
    "greater than",
    "less than",
    "at least",
    "at most",
    "must be between",
    "multiple",
    "minimum",
    "maximum",
    "must be",
    "be resized up",
    "out of range",
    "not supported",
    "unsupported",
    "exceeds the",
    "shrink",
];

/// Somebody's proof of identity is not taken.
pub(super) const REJECTED: &[&str] = &[
    "invalid",
    "incorrect",
    "expired",
    "wrong",
    "rejected",
    "is not valid",
    "does not match",
    "mismatch",
    "revoked",
];

/// A step that did not succeed.
pub(super) const FAILED: &[&str] = &[
    "could not",
    "couldn't",
    "failed",
    "unable to",
    "cannot",
    "can't",
    "error",
    "no such host",
    "failure",
];
