"""The index of what the spool holds and what is owed: SQLCipher through peewee, and the only models in the house."""
