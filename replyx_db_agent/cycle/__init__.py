"""What several tools share: load, judge, rehearse, prove, answer. Joins rules and engines."""
