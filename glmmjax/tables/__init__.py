"""Numbers of a fit as labelled tables, and as the text and HTML of summaries: the only home of formatting."""

from glmmjax.tables.comparison import anova_frame as anova_frame
from glmmjax.tables.comparison import anova_html as anova_html
from glmmjax.tables.comparison import anova_text as anova_text
from glmmjax.tables.frames import coefficient_frame as coefficient_frame
from glmmjax.tables.frames import fixed_covariance_frame as fixed_covariance_frame
from glmmjax.tables.frames import phi_frame as phi_frame
from glmmjax.tables.frames import random_covariance_frame as random_covariance_frame
from glmmjax.tables.frames import random_effects_covariance_frame as random_effects_covariance_frame
from glmmjax.tables.frames import random_effects_frame as random_effects_frame
from glmmjax.tables.frames import spread_frame as spread_frame
from glmmjax.tables.summary import one_line as one_line
from glmmjax.tables.summary import summary as summary
from glmmjax.tables.text import Summary as Summary
