"""Pages: the record, the readers, the labelled corpus."""
