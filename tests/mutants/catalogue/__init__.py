"""All mutants, by what they break."""

from tests.mutants.catalogue import delivery, ending, faults, lineage, places, reading, saving
from tests.mutants.mutant import Mutant

PARTS = (reading, lineage, delivery, places, saving, faults, ending)

MUTANTS: dict[str, Mutant] = {mutant.name: mutant for part in PARTS for mutant in part.MUTANTS}
