//! Floor 5: schedule, rounds, record, delivery.
