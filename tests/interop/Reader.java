// What a reader on the JVM does: open a .p12 that `sensor-agent identity bundle` wrote, and GET the readings.
//   java Reader.java BUNDLE.p12 PASSWORD-FILE CA.pem URL
// Prints the alias of the key, the HTTP status and the body, a line each.
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Reader {
    public static void main(String[] words) throws Exception {
        char[] password = Files.readString(Path.of(words[1])).lines().findFirst().orElseThrow().toCharArray();
        KeyStore own = KeyStore.getInstance("PKCS12");
        try (var file = new FileInputStream(words[0])) {
            own.load(file, password);
        }
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, password);

        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        try (var file = new FileInputStream(words[2])) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);

        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        HttpResponse<String> answer = HttpClient.newBuilder().sslContext(context).build()
                .send(HttpRequest.newBuilder(URI.create(words[3])).build(), HttpResponse.BodyHandlers.ofString());
        System.out.println(own.aliases().nextElement());
        System.out.println(answer.statusCode());
        System.out.println(answer.body());
    }
}
