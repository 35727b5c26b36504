# lme4, glmmTMB and GLMMadaptive on the data sets of one folder, in one process: jobs.json names them, peers.json takes the answers.
suppressMessages(library(jsonlite))
folder <- commandArgs(TRUE)[1]
jobs <- fromJSON(file.path(folder, "jobs.json"), simplifyDataFrame = FALSE)

# each gives coefficients, the covariance of the random effects, log size, and its own complaints
peers <- list(
  lme4 = function(j, f, d) {
    m <- if (j$family == "negative_binomial") lme4::glmer.nb(f, data = d) else lme4::glmer(f, data = d, family = j$family, nAGQ = 1)
    list(beta = unname(lme4::fixef(m)), D = as.matrix(Matrix::bdiag(lme4::VarCorr(m))), messages = unlist(m@optinfo$conv$lme4$messages),
         phi = if (j$family == "negative_binomial") log(lme4::getME(m, "glmer.nb.theta")) else numeric(0))
  },
  glmmTMB = function(j, f, d) {
    family <- switch(j$family, poisson = poisson(), negative_binomial = glmmTMB::nbinom2(), binomial())
    m <- glmmTMB::glmmTMB(f, data = d, family = family)
    list(beta = unname(glmmTMB::fixef(m)$cond), D = as.matrix(Matrix::bdiag(glmmTMB::VarCorr(m)$cond)),
         messages = c(if (m$fit$convergence != 0) m$fit$message, if (!isTRUE(m$sdr$pdHess)) "Hessian not positive definite"),
         phi = if (j$family == "negative_binomial") log(glmmTMB::sigma(m)) else numeric(0))
  },
  GLMMadaptive = function(j, f, d) {
    family <- switch(j$family, poisson = poisson(), negative_binomial = GLMMadaptive::negative.binomial(), binomial())
    m <- GLMMadaptive::mixed_model(as.formula(j$fixed), as.formula(j$random), data = d, family = family, nAGQ = 11)
    list(beta = unname(GLMMadaptive::fixef(m)), D = as.matrix(m$D), messages = if (!isTRUE(m$converged)) "not converged",
         phi = if (j$family == "negative_binomial") unname(m$phis) else numeric(0))
  }
)
peers <- peers[vapply(names(peers), requireNamespace, logical(1), quietly = TRUE)]

answer <- function(peer, j, d) {
  warned <- character(0)
  begun <- proc.time()[["elapsed"]]
  found <- tryCatch(
    withCallingHandlers(peers[[peer]](j, as.formula(j$formula), d), warning = function(w) {
      warned <<- c(warned, conditionMessage(w))
      invokeRestart("muffleWarning")
    }),
    error = function(e) list(error = conditionMessage(e))
  )
  found$warnings <- warned
  found$seconds <- proc.time()[["elapsed"]] - begun
  found
}

out <- list()
for (k in seq_along(jobs)) {
  j <- jobs[[k]]
  d <- read.csv(file.path(folder, j$file))
  out[[as.character(j$index)]] <- sapply(names(peers), answer, j = j, d = d, simplify = FALSE)
  if (k %% 10 == 0 || k == length(jobs)) write(toJSON(out, digits = NA), file.path(folder, "peers.json"))
}
