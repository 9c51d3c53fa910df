"""The conformance scenarios: what breaks readers of DynamoDB Streams, each told once and run against two subjects.

A *scenario* is a function of a `Trial` and of a case's name, in `test_NN_...py`:

    @conformance(3, "watched", "killed and started")
    def test_a_closed_shard_is_read_once(trial: Trial, case: str) -> None:
        world = trial.world(behaviour=Behaviour(ends_with_records=0.0))
        subject = trial.subject(world)
        subject.start()
        world.write(3)
        world.roll()
        world.advance(30 * MINUTE)
        verify(subject, once=world.destinations)

- `World` (`world.py`): the simulated service, virtual time (`advance`; `time.later` has something done meanwhile;
  `time.jumped` is how far the wall clock of the subject's host is off), the table (`put`, `delete`, `write`, `split`, `roll`,
  `enable_stream`; `sim.call` and `sim.control` for everything else), faults (`fail`), destinations (`outage`).
- `Destination`: where a sink writes; what is in `arrived` is durable, in this order, a redelivered change each time. The
  default two are `bus` (at least once) and `lake` (exactly once).
- `Subject` (`subject.py`): `start`, `kill` (-9), `terminate` (SIGTERM), `pause` and `resume` (a process that is a zombie
  meanwhile), for as many named processes as a scenario wants; `reports` (the losses that it told), `decide` (the operator's
  decision about them), `running`, `exit_code`, `saved_rows`. `Options` is what a scenario can ask of it.
  `service` is the whole core with the shipped connector, on fake sinks and a store in memory; `naive` is the loop that
  everyone writes with boto3 (`naive/loop.py` says who does what in it), on boto3's own clients.
- The oracle (`oracle.py`) goes by the service's own log. `verify` is the usual whole; an `Oracle` has its parts: `complete`,
  `in_order`, `once`, `told`, `wrong` for what is a scenario's own, and `done`, which raises one `Violation` with all kinds.

A new scenario needs its row in `expected.py` (the title; for each case the kinds by which the naive loop fails, none where it
passes, None where it is not asked) and in the table of `docs/conformance.md`; `test_table.py` holds the three together.
"""
