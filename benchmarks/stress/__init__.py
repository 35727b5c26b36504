"""The project's own campaign: simulated data sets with every start, judged from outside, and hostile inputs; ``make stress``.

- ``__main__``: the command line
- ``grid``: families, random effects and shapes, of few compiled programs
- ``outcomes``: how each family draws its outcomes
- ``densities``: log densities in NumPy, independent of the package
- ``cases``: a data set as a function of (seed, index)
- ``integral``: the log-likelihood and its gradient by a rule of its own
- ``outside``: the maximum without random effects, separation, clusters without mixture
- ``starts``: dispersed starting values
- ``trial``: one data set on trial, a row of the record
- ``workers``: processes whose memory is bounded, and who are replaced when they hang or die
- ``campaign``: all data sets in worker processes, into a CSV that a later call resumes
- ``report``: the table by family, the listings and the goals
- ``peers``: lme4, glmmTMB and GLMMadaptive on the same data sets
- ``hostile/``: inputs that a user might hand over by mistake or in malice
"""
