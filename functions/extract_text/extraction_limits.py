"""The bounds within which an upload is read. Each is far above an honest document and far below what would hurt."""

MAXIMUM_UPLOAD_BYTES = 20_000_000
MAXIMUM_PAGES = 400
# Pages that are pictures, where they are read at all: each is a call that takes a second or two and costs money, and
# four at once must be done in what the function has of time (75 s).
MAXIMUM_SCANNED_PAGES = 100
# 400 dense pages; some 100 chunks, each a call to the model.
MAXIMUM_CHARACTERS = 1_250_000

# One stream of a PDF, inflated. Real content streams are below 1 MB; pictures are not inflated here.
MAXIMUM_PDF_STREAM_BYTES = 20_000_000

# The XML parts of an OOXML file, inflated: a tree takes some eight times that in memory. 400 pages are about 5 MB.
MAXIMUM_PACKAGE_XML_BYTES = 30_000_000
MAXIMUM_PACKAGE_PARTS = 5_000

MAXIMUM_TITLE_CHARACTERS = 200
