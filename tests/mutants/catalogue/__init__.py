"""All mutants, by what they break."""

from tests.mutants.catalogue import delivery, ending, faults, lineage, places, reading, saving, source
from tests.mutants.mutant import Mutant

PARTS = (reading, source, faults, lineage, delivery, places, saving, ending)

MUTANTS: dict[str, Mutant] = {mutant.name: mutant for part in PARTS for mutant in part.MUTANTS}
