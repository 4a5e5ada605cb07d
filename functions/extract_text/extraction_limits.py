"""The bounds within which an upload is read. Each is far above an honest document and far below what would hurt."""

MAXIMUM_UPLOAD_BYTES = 20_000_000
MAXIMUM_PAGES = 400
# 400 dense pages; some 100 chunks, each a call to the model.
MAXIMUM_CHARACTERS = 1_250_000

# One stream of a PDF, inflated. Real content streams are below 1 MB; pictures are not inflated here.
MAXIMUM_PDF_STREAM_BYTES = 20_000_000

# The XML parts of an OOXML file, inflated: a tree takes some eight times that in memory. 400 pages are about 5 MB.
MAXIMUM_PACKAGE_XML_BYTES = 30_000_000
MAXIMUM_PACKAGE_PARTS = 5_000

MAXIMUM_TITLE_CHARACTERS = 200
