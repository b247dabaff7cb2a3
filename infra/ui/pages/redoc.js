// Starts Redoc on the page that includes this script.
Redoc.init(document.currentScript.dataset.document, {}, document.getElementById("redoc"));
