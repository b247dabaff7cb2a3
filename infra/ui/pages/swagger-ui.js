// Starts Swagger UI on the page that this script is a part of.
window.ui = SwaggerUIBundle({
  url: document.currentScript.dataset.document,
  dom_id: "#swagger-ui",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  // Else the document's address is told to another host.
  validatorUrl: null,
});
