"""What is computed from a fit, one subject a file: functions of ``FittedModel`` that return arrays or records."""
