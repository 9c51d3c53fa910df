"""DynamoDB with Streams, simulated: as the real service behaves, not as its emulators do.

Splits, rollovers, trimming, expiring iterators, late and lost answers, by seed and in virtual time, without threads.
`Sim` is the way in; nothing here knows anything of the engine that is tested with it.
"""
