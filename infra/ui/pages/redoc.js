// Starts Redoc on the page that this script is a part of.
Redoc.init(document.currentScript.dataset.document, {}, document.getElementById("redoc"));
