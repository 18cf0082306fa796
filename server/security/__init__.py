"""Keys, borders, evidence: the vault, redaction, the sanitiser, tokens and audit. Nothing heavy is imported before its
first need; the start of stdio imports `redaction` and `process` only.
"""
