// Starts Swagger UI on the description of the plane that the path names.
// Nothing leaves this server: no validator, no remote references. The API key
// is held in memory only and goes with the tab.
const here = [...document.querySelectorAll("nav a")].find((a) => a.pathname === location.pathname.replace(/\/$/, ""))
  ?? document.querySelector("nav a");
here.setAttribute("aria-current", "page");
document.getElementById("file").href = here.dataset.description;

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: here.dataset.description,
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
