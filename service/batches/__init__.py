"""OpenAI's files and batches on the disk, and the process that runs them: the API only reads and writes its records."""
