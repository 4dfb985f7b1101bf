"""Files and buckets: uploads, downloads and the conversion to Markdown."""
