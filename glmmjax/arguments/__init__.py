"""What each argument of a public function may be: declared beside its signature, checked where it comes in.

``takes`` declares, and a kind says what holds::

    @takes(kind=OneOf("mode", "mean"), level=LEVEL)
    def random_effects_table(self, kind="mode", level=0.95): ...

A value that no kind can judge without the model, such as the name of a covariate, is judged where the model is known.

- ``kinds``: what an argument may be
- ``calls``: ``takes``, and the errors of a call with other names, too many or too few arguments
"""

from glmmjax.arguments.calls import check_arguments as check_arguments
from glmmjax.arguments.calls import takes as takes
from glmmjax.arguments.kinds import AXES as AXES
from glmmjax.arguments.kinds import COUNT as COUNT
from glmmjax.arguments.kinds import FLAG as FLAG
from glmmjax.arguments.kinds import FOLDER as FOLDER
from glmmjax.arguments.kinds import LEVEL as LEVEL
from glmmjax.arguments.kinds import NAMES as NAMES
from glmmjax.arguments.kinds import NUMBERS as NUMBERS
from glmmjax.arguments.kinds import PATH as PATH
from glmmjax.arguments.kinds import SEED as SEED
from glmmjax.arguments.kinds import TABLE as TABLE
from glmmjax.arguments.kinds import Container as Container
from glmmjax.arguments.kinds import Flags as Flags
from glmmjax.arguments.kinds import Having as Having
from glmmjax.arguments.kinds import InstanceOf as InstanceOf
from glmmjax.arguments.kinds import Judged as Judged
from glmmjax.arguments.kinds import Kind as Kind
from glmmjax.arguments.kinds import Maybe as Maybe
from glmmjax.arguments.kinds import NameOrTable as NameOrTable
from glmmjax.arguments.kinds import Number as Number
from glmmjax.arguments.kinds import OneOf as OneOf
from glmmjax.arguments.kinds import SomeOf as SomeOf
from glmmjax.arguments.kinds import Text as Text
from glmmjax.arguments.kinds import Whole as Whole
