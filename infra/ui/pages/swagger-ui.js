// Starts Swagger UI on the page that includes this script.
window.ui = SwaggerUIBundle({
  url: document.currentScript.dataset.document,
  dom_id: "#swagger-ui",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  // By default, Swagger UI sends the document's address to another host.
  validatorUrl: null,
});
